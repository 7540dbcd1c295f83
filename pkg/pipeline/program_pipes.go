package pipeline

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// pipes carry what a program writes. When it has ended, something that it started may still have them open; os/exec would
// wait for that.
type pipes struct {
	readers []*os.File
	ended   chan struct{} // closed when all of them are at their end
}

// startWithPipes starts a program whose standard output and error are copied to writers, until close is called.
func startWithPipes(cmd *exec.Cmd, stdout, stderr io.Writer) (*pipes, error) {
	p := &pipes{ended: make(chan struct{})}
	var copying sync.WaitGroup
	pipe := func(to io.Writer) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		p.readers = append(p.readers, r)
		copying.Go(func() {
			_, _ = io.Copy(to, r)
			r.Close() // ends a program that goes on writing
		})
		return w, nil
	}
	out, err := pipe(stdout)
	if err != nil {
		return nil, err
	}
	said, err := pipe(stderr)
	if err == nil {
		cmd.Stdout, cmd.Stderr = out, said
		err = cmd.Start()
		said.Close()
	}
	out.Close()
	go func() { defer close(p.ended); copying.Wait() }()
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// wait returns when all that was written is copied, when no more is wanted, when the reason to stop comes, which it
// reports, or after a moment.
func (p *pipes) wait(stop, enough <-chan struct{}) (stopped bool) {
	select {
	case <-p.ended:
	case <-enough:
	case <-stop:
		return true
	case <-time.After(waitForPipes):
	}
	return false
}

// close copies what is in the pipes and closes them. It takes a moment if a process that was not killed has them open.
func (p *pipes) close() {
	p.wait(nil, nil)
	for _, r := range p.readers {
		r.Close()
	}
	<-p.ended
}
