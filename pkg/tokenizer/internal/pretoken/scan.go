package pretoken

import (
	"strings"
	"unicode/utf8"
)

// The patterns with scanners, as they stand in tokenizer.json files. GPT2 is also what the pre-tokenizer ByteLevel stands for.
const (
	GPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	Llama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	Qwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// scanner finds the pieces of a pattern that matches every text.
type scanner struct {
	classes *classes
	next    func(c *classes, text string) int // length of the first piece
}

// Scanner returns the splitter by hand for a pattern, nil if there is none.
func Scanner(pattern string) Splitter {
	switch pattern {
	case GPT2:
		return scanner{loadClasses(), nextGPT2}
	case Llama3:
		return scanner{loadClasses(), nextLlama3}
	case Qwen2:
		return scanner{loadClasses(), nextQwen2}
	}
	return nil
}

// Split cuts the text.
func (s scanner) Split(text string, emit func(piece string)) {
	for text != "" {
		n := s.next(s.classes, text)
		emit(text[:n])
		text = text[n:]
	}
}

func nextGPT2(c *classes, text string) int {
	if text[0] == '\'' {
		if n := contraction(text); n > 0 {
			return n
		}
	}
	k, n := c.at(text, 0)
	if k != space {
		return c.run(text, n, k)
	}
	if text[0] == ' ' && len(text) > 1 {
		if after, _ := c.at(text, 1); after != space {
			return c.run(text, 1, after)
		}
	}
	return c.white(text, c.run(text, n, space))
}

func nextLlama3(c *classes, text string) int { return nextCL100K(c, text, 3) }

func nextQwen2(c *classes, text string) int { return nextCL100K(c, text, 1) }

// nextCL100K scans the patterns that go back to that of OpenAI's cl100k. They differ in how many digits a piece has.
func nextCL100K(c *classes, text string, digits int) int {
	first := text[0]
	if first == '\'' {
		if n := foldedContraction(text); n > 0 {
			return n
		}
	}
	k, n := c.at(text, 0)
	switch {
	case k == letter:
		return c.run(text, n, letter)
	case k == number:
		for range digits - 1 {
			if n == len(text) {
				break
			}
			next, size := c.at(text, n)
			if next != number {
				break
			}
			n += size
		}
		return n
	}
	after, size := other, 0 // the class and length of the next character
	if n < len(text) {
		after, size = c.at(text, n)
	}
	switch {
	case size > 0 && after == letter && first != '\r' && first != '\n':
		return c.run(text, n+size, letter)
	case k == other:
		return newlines(text, c.run(text, n, other))
	case first == ' ' && size > 0 && after == other:
		return newlines(text, c.run(text, n+size, other))
	}
	end := c.run(text, n, space)
	if last := strings.LastIndexAny(text[:end], "\r\n"); last >= 0 {
		return last + 1
	}
	return c.white(text, end)
}

// white is the end of a piece of white space that ends at a place: the last character is left to the next piece,
// if there is one and not the whole piece would be.
func (c *classes) white(text string, end int) int {
	if end == len(text) {
		return end
	}
	_, n := utf8.DecodeLastRuneInString(text[:end])
	if end > n {
		return end - n
	}
	return end
}

// newlines returns the end of the line breaks that go on at place i.
func newlines(text string, i int) int {
	for i < len(text) && (text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// contraction returns the length of an English contraction that the text begins with, 0 if it has none.
func contraction(text string) int {
	if len(text) > 1 {
		switch text[1] {
		case 's', 't', 'm', 'd':
			return 2
		}
	}
	if len(text) > 2 {
		switch text[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// foldedContraction is contraction whatever the case. The long s (U+017F) is an s.
func foldedContraction(text string) int {
	if len(text) > 1 {
		switch text[1] | 0x20 {
		case 's', 't', 'm', 'd':
			return 2
		}
	}
	if len(text) > 2 {
		switch a, b := text[1]|0x20, text[2]|0x20; {
		case (a == 'r' || a == 'v') && b == 'e', a == 'l' && b == 'l':
			return 3
		case text[1:3] == "\u017F":
			return 3
		}
	}
	return 0
}
