package setting

import (
	"errors"
	"fmt"
	"math"
)

// FieldError is one setting that makes no sense.
type FieldError struct {
	// Owner is the struct whose setting it is, with its package: "sft: Config".
	Owner string
	// Path is the field in Go, from the owner on: "Optim.LearningRate". Embedded structs are left
	// out.
	Path string
	// Value is what was set.
	Value any
	// Want is what is allowed: "at least 1".
	Want string
	// Err, if not nil, is the reason instead of Value and Want.
	Err error
}

// Error implements error: "sft: Config.BatchSize is 0, want at least 1".
func (e *FieldError) Error() string { return e.Owner + "." + e.Path + e.Reason() }

// Reason is the error without its field: " is 0, want at least 1".
func (e *FieldError) Reason() string {
	if e.Err != nil {
		return ": " + e.Err.Error()
	}
	return fmt.Sprintf(" is %v, want %s", e.Value, e.Want)
}

// Unwrap implements errors.Unwrap.
func (e *FieldError) Unwrap() error { return e.Err }

// Checks collects the problems of one struct. Use NewChecks.
type Checks struct {
	owner string
	errs  []error
}

// NewChecks starts the checks of a struct, named with its package: "sft: Config".
func NewChecks(owner string) *Checks { return &Checks{owner: owner} }

// That adds a problem unless ok: the field of this path has this value and should be what want says.
func (c *Checks) That(ok bool, path string, value any, want string) {
	if !ok {
		c.errs = append(c.errs, &FieldError{Owner: c.owner, Path: path, Value: value, Want: want})
	}
}

// AtLeast wants an integer of at least least.
func (c *Checks) AtLeast(path string, value, least int) {
	if value < least {
		c.That(false, path, value, fmt.Sprintf("at least %d", least))
	}
}

// NotNegative wants a finite number of at least 0.
func (c *Checks) NotNegative(path string, x float64) {
	c.number(x >= 0 && !math.IsInf(x, 1), path, x, "a number of at least 0")
}

// Positive wants a finite number above 0.
func (c *Checks) Positive(path string, x float64) {
	c.number(x > 0 && !math.IsInf(x, 1), path, x, "a positive number")
}

// Share wants a number in [0, 1].
func (c *Checks) Share(path string, x float64) {
	c.number(x >= 0 && x <= 1, path, x, "a number in [0, 1]")
}

// ShareBelowOne wants a number in [0, 1).
func (c *Checks) ShareBelowOne(path string, x float64) {
	c.number(x >= 0 && x < 1, path, x, "a number in [0, 1)")
}

// number is That without an allocation for a number that is right: an optimiser checks each step.
func (c *Checks) number(ok bool, path string, x float64, want string) {
	if !ok {
		c.That(false, path, x, want)
	}
}

// Nested adds the problems of a field that is a struct with a Validate of its own. The path of an
// embedded struct is empty.
func (c *Checks) Nested(path string, err error) {
	for _, e := range leaves(err) {
		var f *FieldError
		switch {
		case errors.As(e, &f):
			inner := *f
			inner.Owner, inner.Path = c.owner, Join(path, f.Path)
			c.errs = append(c.errs, &inner)
		case path == "":
			c.errs = append(c.errs, e)
		default:
			c.errs = append(c.errs, &FieldError{Owner: c.owner, Path: path, Err: e})
		}
	}
}

// Err joins all problems, in the order of the checks; nil if there are none.
func (c *Checks) Err() error { return errors.Join(c.errs...) }

// Fields lists the FieldErrors of an error, through errors.Join and wrapping.
func Fields(err error) []*FieldError {
	var list []*FieldError
	for _, e := range leaves(err) {
		var f *FieldError
		if errors.As(e, &f) {
			list = append(list, f)
		}
	}
	return list
}

// leaves are the problems of an error: the FieldErrors in it, and what errors.Join has joined with
// them. The text of an error that wraps FieldErrors is left out.
func leaves(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case *FieldError:
		return []error{e}
	case interface{ Unwrap() []error }:
		var list []error
		for _, inner := range e.Unwrap() {
			list = append(list, leaves(inner)...)
		}
		return list
	}
	if inner := leaves(errors.Unwrap(err)); len(Fields(errors.Join(inner...))) > 0 {
		return inner
	}
	return []error{err}
}

// Join puts a field, in Go or as a key, behind the path to the struct around it, which may be empty.
func Join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
