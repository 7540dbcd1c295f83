package train

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// Recorder writes what a stage reports as JSON, one object a line:
//
//	{"time":"2024-05-01T12:00:00Z","stage":"sft","step":1,"total":10,"metrics":{"loss":2.5}}
//
// Its OnStep goes into a stage's Config. NaN and Inf, which JSON does not have, are written as null.
type Recorder struct {
	// Now gives the time of a line. Nil leaves it out.
	Now func() time.Time
	// Run names the run in each line. Empty leaves it out.
	Run string

	enc *json.Encoder
	err error
}

// NewRecorder writes to w, a line at a time, with the time of day.
func NewRecorder(w io.Writer) *Recorder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &Recorder{Now: time.Now, enc: enc}
}

// OnStep writes one line. After an error it does nothing, see Err.
func (r *Recorder) OnStep(info StepInfo) {
	if r.err != nil {
		return
	}
	line := struct {
		Time    string              `json:"time,omitempty"`
		Run     string              `json:"run,omitempty"`
		Stage   string              `json:"stage"`
		Step    int                 `json:"step"`
		Total   int                 `json:"total"`
		Metrics map[string]*float64 `json:"metrics"`
	}{Run: r.Run, Stage: info.Stage, Step: info.Step, Total: info.Total, Metrics: map[string]*float64{}}
	if r.Now != nil {
		line.Time = r.Now().UTC().Format(time.RFC3339)
	}
	for name, x := range info.Metrics {
		line.Metrics[name] = nil
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			line.Metrics[name] = &x
		}
	}
	if err := r.enc.Encode(line); err != nil {
		r.err = fmt.Errorf("train: recording step %d: %w", info.Step, err)
	}
}

// Err is the first error of writing.
func (r *Recorder) Err() error { return r.err }
