package corpus

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Representation counts the documents that mention descriptors, as the paper does for pronouns and identity terms in the
// pretraining data (section 4.1, table 9).
//
// A term is found as whole words, upper and lower case alike. Words are runs of letters, marks and digits; everything else
// stands between words, in terms too: "middle-aged" is found where "middle" and "aged" follow each other, and "she" in
// "she's".
type Representation struct {
	documents int
	axes      []Axis
	mentioned []int // documents for each axis
	described []int // documents for each descriptor of all axes
	axisOf    []int // of each descriptor

	root         termNode
	axisSeen     []int // the last document that mentioned it, counted from 1
	describeSeen []int
	begun, going []*termNode // terms of which some words were read: before and with the current word
	word         []byte
}

// termNode is a place in a term, behind a word.
type termNode struct {
	next        map[string]*termNode
	descriptors []int // whose term ends here
}

// AxisCount is how often an axis is mentioned.
type AxisCount struct {
	Name      string
	Documents int     // with any of its descriptors
	Share     float64 // of all documents

	Descriptors []DescriptorCount
}

// DescriptorCount is how often a descriptor is mentioned.
type DescriptorCount struct {
	Name      string
	Documents int
	Share     float64 // of the documents that mention the axis
}

// NewRepresentation prepares the counting.
func NewRepresentation(axes []Axis) (*Representation, error) {
	r := &Representation{axes: axes}
	var errs []error
	for i, axis := range axes {
		if len(axis.Descriptors) == 0 {
			errs = append(errs, fmt.Errorf("corpus: representation: %s has no descriptors", axis.Name))
		}
		for _, d := range axis.Descriptors {
			if len(d.Terms) == 0 {
				errs = append(errs, fmt.Errorf("corpus: representation: %s of %s has no terms", d.Name, axis.Name))
			}
			for _, term := range d.Terms {
				if !r.learn(term, len(r.axisOf)) {
					errs = append(errs, fmt.Errorf("corpus: representation: %s of %s has the term %q, which has no letter or digit", d.Name, axis.Name, term))
				}
			}
			r.axisOf = append(r.axisOf, i)
		}
	}
	r.mentioned, r.axisSeen = make([]int, len(axes)), make([]int, len(axes))
	r.described, r.describeSeen = make([]int, len(r.axisOf)), make([]int, len(r.axisOf))
	return r, errors.Join(errs...)
}

// learn adds a term of a descriptor.
func (r *Representation) learn(term string, descriptor int) bool {
	node := &r.root
	r.words(term, func() {
		next := node.next[string(r.word)]
		if next == nil {
			next = &termNode{}
			if node.next == nil {
				node.next = map[string]*termNode{}
			}
			node.next[string(r.word)] = next
		}
		node = next
	})
	node.descriptors = append(node.descriptors, descriptor)
	return node != &r.root
}

// words calls visit for each word of a text, which is in r.word then.
func (r *Representation) words(text string, visit func()) {
	r.word = r.word[:0]
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			r.word = append(r.word, byte(c))
		case 'A' <= c && c <= 'Z':
			r.word = append(r.word, byte(c-'A'+'a'))
		case c >= utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsMark(c) || unicode.IsNumber(c)):
			r.word = utf8.AppendRune(r.word, unicode.ToLower(c))
		case len(r.word) > 0:
			visit()
			r.word = r.word[:0]
		}
	}
	if len(r.word) > 0 {
		visit()
	}
}

// Add counts a document.
func (r *Representation) Add(text string) {
	r.documents++
	r.begun = r.begun[:0]
	r.words(text, func() {
		r.going = r.going[:0]
		r.step(&r.root)
		for _, node := range r.begun {
			r.step(node)
		}
		r.begun, r.going = r.going, r.begun
	})
}

// step reads the current word behind a place in a term.
func (r *Representation) step(node *termNode) {
	next := node.next[string(r.word)]
	if next == nil {
		return
	}
	if next.next != nil {
		r.going = append(r.going, next)
	}
	for _, d := range next.descriptors {
		if r.describeSeen[d] == r.documents {
			continue
		}
		r.describeSeen[d] = r.documents
		r.described[d]++
		if axis := r.axisOf[d]; r.axisSeen[axis] != r.documents {
			r.axisSeen[axis] = r.documents
			r.mentioned[axis]++
		}
	}
}

// Documents is how many there were.
func (r *Representation) Documents() int { return r.documents }

// Counts are those of the axes and their descriptors, in the order in which they were given.
func (r *Representation) Counts() []AxisCount {
	share := func(n, of int) float64 { return float64(n) / float64(max(1, of)) }
	var counts []AxisCount
	d := 0
	for i, axis := range r.axes {
		count := AxisCount{Name: axis.Name, Documents: r.mentioned[i], Share: share(r.mentioned[i], r.documents)}
		for _, descriptor := range axis.Descriptors {
			count.Descriptors = append(count.Descriptors, DescriptorCount{descriptor.Name, r.described[d], share(r.described[d], r.mentioned[i])})
			d++
		}
		counts = append(counts, count)
	}
	return counts
}
