package pretoken

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is what a pattern distinguishes.
type class uint8

const (
	other  class = iota
	letter       // \p{L}
	number       // \p{N}
	space        // \s
)

// blockBits says how many characters share a block of the table.
const blockBits = 8

// classes gives the class of every character: blocks of 256, of which equal ones are stored once.
type classes struct {
	index  [(unicode.MaxRune + 1) >> blockBits]uint8
	blocks [][1 << blockBits]class
}

// loadClasses makes the table once; it never changes after that.
var loadClasses = sync.OnceValue(func() *classes {
	all := make([]class, unicode.MaxRune+1)
	for _, set := range []struct {
		class  class
		ranges []rune
	}{{letter, letterRanges}, {number, numberRanges}, {space, spaceRanges}} {
		for i := 0; i < len(set.ranges); i += 2 {
			for r := set.ranges[i]; r <= set.ranges[i+1]; r++ {
				all[r] = set.class
			}
		}
	}
	c := new(classes)
	seen := make(map[[1 << blockBits]class]uint8)
	for i := range c.index {
		block := [1 << blockBits]class(all[i<<blockBits:])
		at, ok := seen[block]
		if !ok {
			at = uint8(len(c.blocks))
			seen[block] = at
			c.blocks = append(c.blocks, block)
		}
		c.index[i] = at
	}
	return c
})

func (c *classes) of(r rune) class { return c.blocks[c.index[r>>blockBits]][r&(1<<blockBits-1)] }

// at returns the class and the length of the character at place i.
func (c *classes) at(text string, i int) (class, int) {
	if b := text[i]; b < utf8.RuneSelf {
		return c.blocks[0][b], 1
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	return c.of(r), n
}

// run returns where a run of one class that goes on at place i ends.
func (c *classes) run(text string, i int, k class) int {
	ascii := &c.blocks[0]
	for i < len(text) {
		if b := text[i]; b < utf8.RuneSelf {
			if ascii[b] != k {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if c.of(r) != k {
			return i
		}
		i += n
	}
	return i
}

// digit says whether Digits takes the character at place i for a number: those of \p{N}, and those of Unicode 17.
func (c *classes) digit(text string, i int) (bool, int) {
	if b := text[i]; b < utf8.RuneSelf {
		return '0' <= b && b <= '9', 1
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	return c.of(r) == number || 0x11DE0 <= r && r <= 0x11DE9 || 0x16FF4 <= r && r <= 0x16FF6, n
}
