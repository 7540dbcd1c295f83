package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// options are the flags.
type options struct {
	Seed                                       uint64
	Kills, Stops, Flips, Cuts, Levels, Numbers int
	Scale                                      float64
	Try, Workers                               int
	Only                                       *regexp.Regexp
	Binary, Keep                               string
	Out                                        io.Writer
}

// suite is one run of the program.
type suite struct {
	options
	dir     string             // of everything that is made
	inputs  string             // what subjects read
	stages  map[string]subject // by name
	tools   map[string]subject
	lock    sync.Mutex
	refs    map[string]*reference
	corrupt map[string]*checkpoint
	making  sync.RWMutex // held alone while a file is made whose memory must not count
}

// fault is something that is done to a subject, a number of times.
type fault struct {
	name     string
	subjects []string
	tries    int
	// try does it once in an empty folder.
	try func(ctx context.Context, t *try) error
}

// try is one try of a fault.
type try struct {
	*suite
	fault, subject string
	number         int
	dir            string
	rng            *rand.Rand

	how    string // in what way it survived, in a word or two
	peak   int64  // bytes of memory, if that was measured
	missed int    // how often the fault came after the end
}

// failure is a broken promise: what a try returns for it. Other errors are troubles of the suite itself.
type failure struct{ text string }

func (f *failure) Error() string { return f.text }

func failf(format string, args ...any) error { return &failure{fmt.Sprintf(format, args...)} }

// skipped says why a fault cannot be tried here.
type skipped struct{ why string }

func (s *skipped) Error() string { return s.why }

// runSuite tries all faults that were asked for and prints a table of them.
func runSuite(ctx context.Context, o options) error {
	s, done, err := newSuite(ctx, o)
	if err != nil {
		return err
	}
	defer done()
	r := &report{out: o.Out}
	err = s.tryAll(ctx, r)
	r.print()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case len(r.rows) == 0:
		return fmt.Errorf("nothing is tried: no FAULT/SUBJECT matches -only %q", o.Only)
	case r.failed() > 0:
		return fmt.Errorf("%w: %d of %d tries failed", errFailed, r.failed(), r.tried())
	}
	return nil
}

// faults are all of them. Those of a moment come first, those of a file after them.
func (s *suite) faults() []fault {
	return []fault{
		{"kills", names(s.stages), s.Kills, killStage},
		{"kills", names(s.tools), s.Kills, killTool},
		{"together", names(s.tools), (s.Kills + 1) / 2, runTogether},
		{"together", names(s.stages), (s.Kills + 9) / 10, runStageTogether},
		{"stops", names(s.stages), s.Stops, stopStage},
		{"stops", names(s.tools), s.Stops, stopTool},
		{"waiting", names(waiting), min(s.Stops, 4), stopWaiting},
		{"disk", names(s.stages), s.Levels, fillDisk},
		{"disk", names(s.tools), s.Levels, fillDiskOfTool},
		{"hostile", names(s.hostiles()), 1, readHostile},
		{"annotators", names(annotators), 2, askAnnotator},
		{"flips", checkpointed, s.Flips, flipCheckpoint},
		{"cuts", checkpointed, s.Cuts, cutCheckpoint},
		{"flips-of-results", names(results), s.Flips, flipResult},
		{"cuts-of-results", names(results), s.Cuts, cutResult},
		{"numbers", names(results), s.Numbers, writeNumber},
	}
}

// newSuite builds tame and makes the inputs. done removes what is not to be kept.
func newSuite(ctx context.Context, o options) (s *suite, done func(), err error) {
	dir := o.Keep
	if dir == "" {
		dir, err = os.MkdirTemp("", "tame-faults-")
	} else if err = os.Mkdir(dir, 0o755); err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		if o.Keep == "" {
			os.RemoveAll(dir)
		}
	}
	s = &suite{options: o, dir: dir, inputs: filepath.Join(dir, "inputs"), refs: map[string]*reference{}, corrupt: map[string]*checkpoint{}}
	if err := s.prepare(ctx); err != nil {
		done()
		return nil, nil, err
	}
	return s, done, nil
}

func (s *suite) prepare(ctx context.Context) (err error) {
	if s.Binary == "" {
		s.Binary = filepath.Join(s.dir, "tame")
		out, err := exec.CommandContext(ctx, "go", "build", "-o", s.Binary, "github.com/tame-rlhf/tame/cmd/tame").CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build: %w: %s", err, out)
		}
	} else if s.Binary, err = filepath.Abs(s.Binary); err != nil {
		return err
	}
	if err := s.makeInputs(ctx); err != nil {
		return err
	}
	s.stages, s.tools = s.stageSubjects(), s.toolSubjects()
	return nil
}

// tryAll tries everything that was asked for, some tries at a time. An error is of tries that could not be made.
func (s *suite) tryAll(ctx context.Context, r *report) error {
	type job struct {
		fault  fault
		number int
		row    *row
	}
	jobs, errs := make(chan job), make(chan error)
	var group sync.WaitGroup
	for range max(s.Workers, 1) {
		group.Go(func() {
			for j := range jobs {
				if err := s.tryOnce(ctx, j.fault, j.number, j.row); err != nil {
					errs <- fmt.Errorf("%s/%s, try %d: %w", j.fault.name, j.row.subject, j.number, err)
				}
			}
		})
	}
	go func() {
		defer close(errs)
		defer group.Wait()
		defer close(jobs)
		for _, f := range s.faults() {
			for _, subject := range f.subjects {
				if !s.Only.MatchString(f.name + "/" + subject) {
					continue
				}
				row := r.row(f.name, subject)
				for n := range f.tries {
					if s.Try >= 0 && n != s.Try || row.skipped() {
						continue
					}
					select {
					case jobs <- job{f, n, row}:
					case <-ctx.Done():
						return
					}
				}
			}
		}
	}()
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// tell prints a failure at once.
func (s *suite) tell(text string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	fmt.Fprintln(s.Out, "FAILED", text)
}

// tryOnce notes in the row how a try ended. An error is a trouble of the suite.
func (s *suite) tryOnce(ctx context.Context, f fault, number int, row *row) error {
	begin, subject := time.Now(), row.subject
	defer func() { row.spent(time.Since(begin)) }()
	t := &try{suite: s, fault: f.name, subject: subject, number: number, rng: newRand(s.Seed, fmt.Sprint(f.name, "/", subject, "/", number))}
	t.dir = filepath.Join(s.dir, f.name, subject, fmt.Sprint(number))
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return err
	}
	err := t.until(ctx, f.try)
	var skip *skipped
	var broken *failure
	switch {
	case errors.As(err, &skip):
		row.skip(skip.why)
	case errors.As(err, &broken):
		s.tell(row.fail(t, broken.text))
		if s.Keep != "" {
			return nil
		}
	case err != nil && ctx.Err() != nil:
		return nil // the caller tells
	case err != nil:
		return err
	default:
		row.survive(t)
	}
	return os.RemoveAll(t.dir)
}

// tooLate is how a run ended before the fault came.
const tooLate = "ended before"

// until does a try again, in an empty folder and with an earlier moment, if the run ended before the fault came: how fast a
// machine is changes when others use it.
func (t *try) until(ctx context.Context, do func(ctx context.Context, t *try) error) error {
	const most = 6
	for {
		t.how = ""
		if err := do(ctx, t); err != nil || t.how != tooLate {
			return err
		}
		if t.missed++; t.missed == most {
			return nil
		}
		if err := errors.Join(os.RemoveAll(t.dir), os.Mkdir(t.dir, 0o755)); err != nil {
			return err
		}
	}
}

// newRand are the random numbers of one try, whatever the others do.
func newRand(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, name)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
