//go:build !unix

package pipeline

import "os/exec"

// asGroup does nothing: without process groups, what a program starts has to end by itself.
func asGroup(*exec.Cmd) (kill func()) { return func() {} }
