package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// stdin is a command's standard input. A read that waits, for a user or another program, ends with the command's context.
func stdin(cmd *cobra.Command) io.Reader {
	return &stoppableReader{ctx: cmd.Context(), in: cmd.InOrStdin(), read: make(chan error, 1)}
}

// stoppableReader reads ahead in a goroutine of its own, which is left behind when the context ends.
type stoppableReader struct {
	ctx    context.Context
	in     io.Reader
	buffer [64 << 10]byte
	full   []byte // of buffer, not given yet
	read   chan error
	n      int   // what the last read gave
	err    error // what it ended with
}

func (r *stoppableReader) Read(p []byte) (int, error) {
	if len(r.full) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		go func() {
			var err error
			r.n, err = r.in.Read(r.buffer[:])
			r.read <- err
		}()
		select {
		case r.err = <-r.read:
			r.full = r.buffer[:r.n]
		case <-r.ctx.Done():
			r.err = r.ctx.Err() // and nothing is read any more
			return 0, r.err
		}
	}
	n := copy(p, r.full)
	r.full = r.full[n:]
	if len(r.full) == 0 {
		return n, r.err
	}
	return n, nil
}
