package pretrain

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/train/traintest"
)

// numbered is a tokenizer whose text is a list of ids.
type numbered struct{ bos, eos int32 }

func (n numbered) BOS() int32 { return n.bos }
func (n numbered) EOS() int32 { return n.eos }
func (n numbered) Encode(text string) (ids []int32) {
	_ = json.Unmarshal([]byte(text), &ids)
	return ids
}

// textFiles writes documents into datasets of so many rows.
func textFiles(t *testing.T, docs [][]int32, rows ...int) []string {
	t.Helper()
	var files []string
	for i, n := range rows {
		var texts []data.Text
		for _, doc := range docs[:n] {
			raw, err := json.Marshal(doc)
			require.NoError(t, err)
			texts = append(texts, data.Text{Text: string(raw)})
		}
		docs = docs[n:]
		files = append(files, filepath.Join(t.TempDir(), fmt.Sprintf("%d.arrow", i)))
		require.NoError(t, data.Write(files[i], texts, data.Lineage{}))
	}
	require.Empty(t, docs)
	return files
}

// tokensOf are 23 documents of 3 tokens each, which tell their documents.
func tokensOf() (docs [][]int32) {
	for d := range 23 {
		docs = append(docs, document(d, 3))
	}
	return docs
}

func newStream(files []string, block, tokens int) *stream {
	return &stream{
		Stream: Stream{Files: files, Tokenizer: numbered{-1, -1}, Block: block}, size: 3, tokens: tokens, seed: 7,
		check: func([]int32) error { return nil },
	}
}

// taken are the documents of so many windows.
func taken(t *testing.T, s *stream, windows int) (docs []int) {
	t.Helper()
	for len(docs) < windows {
		picked, _, err := s.Next(t.Context())
		require.NoError(t, err)
		for _, w := range picked {
			docs = append(docs, int(w[0]/1000))
		}
	}
	return docs
}

// The order is that of the documented rule, written out here: files shuffled, rows in order, windows of a block shuffled.
func TestStreamOrder(t *testing.T) {
	docs := tokensOf()
	files := textFiles(t, docs, 10, 0, 8, 5)
	rows := [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {}, {10, 11, 12, 13, 14, 15, 16, 17}, {18, 19, 20, 21, 22}}
	for _, block := range []int{1, 4, 23, 100} {
		var want []int
		for epoch := range 3 {
			var order []int
			for _, f := range data.Shuffled(4, ^uint64(7), epoch) {
				order = append(order, rows[f]...)
			}
			for b, part := range slices.Collect(slices.Chunk(order, block)) {
				for _, k := range data.Shuffled(len(part), 7+0x9e3779b97f4a7c15*uint64(b), epoch) {
					want = append(want, part[k])
				}
			}
		}
		s := newStream(files, block, 3)
		got := taken(t, s, 3*23)
		assert.Equal(t, want, got, "blocks of %d", block)
		assert.ElementsMatch(t, want[:23], got[:23], "every document once in an epoch")
		s.close()
	}
}

// From every position a new stream goes on with the same windows, whatever the size of a step.
func TestStreamSeeks(t *testing.T) {
	files := textFiles(t, tokensOf(), 10, 8, 5)
	straight := newStream(files, 4, 6) // two windows a step
	defer straight.close()
	var positions []json.RawMessage
	var picks [][][]int32
	last := 0.0
	for range 30 {
		at, err := straight.Position()
		require.NoError(t, err)
		picked, epochs, err := straight.Next(t.Context())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, epochs, last)
		last = epochs
		positions, picks = append(positions, at), append(picks, picked)
	}
	assert.Greater(t, last, 2.5)
	assert.LessOrEqual(t, last, 3.0)
	for k, at := range positions {
		s := newStream(files, 4, 6)
		require.NoError(t, s.Seek(at))
		back, err := s.Position()
		require.NoError(t, err)
		assert.JSONEq(t, string(at), string(back))
		for i := k; i < min(k+4, len(picks)); i++ {
			picked, _, err := s.Next(t.Context())
			require.NoError(t, err)
			assert.Equal(t, picks[i], picked, "step %d from %d", i, k)
		}
		s.close()
	}
	for _, bad := range []string{`{"File": 3}`, `{"At": -1}`, `7`} {
		assert.ErrorContains(t, newStream(files, 4, 6).Seek(json.RawMessage(bad)), "is not a position in 3 files")
	}
	for bad, want := range map[string]string{`{"Row": 11}`: "has fewer than 11 rows", `{"At": 5}`: "window 5 is after the 4 windows"} {
		s := newStream(files, 4, 6)
		require.NoError(t, s.Seek(json.RawMessage(bad)))
		_, _, err := s.Next(t.Context())
		assert.ErrorContains(t, err, want)
		s.close()
	}
}

// Documents without windows are passed over; without any the stream is empty, and does not read for ever.
func TestStreamWithoutWindows(t *testing.T) {
	docs := [][]int32{{1}, {}, {1, 2, 3}, {4}, {5}}
	s := newStream(textFiles(t, docs, 3, 2), 1, 1)
	defer s.close()
	for range 3 {
		picked, _, err := s.Next(t.Context())
		require.NoError(t, err)
		assert.Equal(t, [][]int32{{1, 2, 3}}, picked)
	}
	empty := newStream(textFiles(t, [][]int32{{1}, {}}, 1, 1), 1, 1)
	defer empty.close()
	_, _, err := empty.Next(t.Context())
	assert.ErrorIs(t, err, data.ErrEmpty)
}

// counted counts the texts that are tokenised.
type counted struct {
	numbered
	texts *int
}

func (c counted) Encode(text string) []int32 {
	*c.texts++
	return c.numbered.Encode(text)
}

// With checkpoints the first block identifies the run, and is trained on without being read again.
func TestStreamReadsABlockOnce(t *testing.T) {
	texts := 0
	tok := counted{numbered{-1, -1}, &texts}
	docs := [][]int32{{5, 6, 7}, {6, 7, 8}, {7, 8, 9}, {8, 9, 5}}
	cfg := tinyConfig()
	cfg.Steps, cfg.BatchTokens, cfg.Checkpointing = 1, 3, train.Checkpointing{Dir: filepath.Join(t.TempDir(), "c"), Every: 1}
	_, err := TrainStream(t.Context(), tinyModel(t, 12), Stream{Files: textFiles(t, docs, 4), Tokenizer: tok, Block: 3}, nil, cfg)
	require.NoError(t, err)
	assert.Equal(t, 3, texts)
}

// Pretraining from a stream is a stage.
func TestStreamConformance(t *testing.T) {
	docs := counting(4, 40)
	for i, doc := range docs {
		docs[i] = doc[1 : len(doc)-1] // without BOS and EOS, which the tokenizer puts
	}
	files := textFiles(t, docs, 15, 20, 5)
	other := textFiles(t, counting(5, 40), 15, 20, 5)
	trained := func(ctx context.Context, run traintest.Run, s Stream, change func(*Config)) ([]float32, any, error) {
		cfg := tinyConfig()
		cfg.Steps = 10 // about two epochs
		change(&cfg)
		cfg.Checkpointing, cfg.OnStep = run.Checkpointing, run.OnStep
		p := tinyModel(t, 12)
		report, err := TrainStream(ctx, p, s, nil, cfg)
		return numbers(p), report, err
	}
	with := func(s Stream, change func(*Config)) func(context.Context, traintest.Run) error {
		return func(ctx context.Context, run traintest.Run) error {
			_, _, err := trained(ctx, run, s, change)
			return err
		}
	}
	tok := numbered{1, 2}
	nothing := func(*Config) {}
	traintest.Check(t, traintest.Stage{
		Name: "pretrain",
		Train: func(ctx context.Context, run traintest.Run) ([]float32, any, error) {
			return trained(ctx, run, Stream{Files: files, Tokenizer: tok, Block: 6}, nothing)
		},
		Others: map[string]func(context.Context, traintest.Run) error{
			"config field seed":                        with(Stream{Files: files, Tokenizer: tok, Block: 6}, func(c *Config) { c.Seed++ }),
			"it read other content of ":                with(Stream{Files: other, Tokenizer: tok, Block: 6}, nothing),
			"config field stream_block was 6 and is 7": with(Stream{Files: files, Tokenizer: tok, Block: 7}, nothing),
			"(it read other content of the tokenizer's ids of the first documents": with(Stream{Files: files, Tokenizer: numbered{1, 3}, Block: 6}, nothing),
		},
	})

	report, err := TrainStream(t.Context(), tinyModel(t, 12), Stream{Files: files, Tokenizer: tok, Block: 6}, nil, tinyConfig())
	require.NoError(t, err)
	assert.Equal(t, 40, report.Steps)
	cfg := tinyConfig()
	for want, s := range map[string]Stream{
		"Stream.Block is 0":           {files, tok, 0, nil},
		"Stream.Files is []":          {nil, tok, 1, nil},
		"Stream.Tokenizer is <nil>":   {files, nil, 1, nil},
		"no such file":                {[]string{"missing.arrow"}, tok, 1, nil},
		"row 0: model: token 1 is 99": {textFiles(t, [][]int32{{5, 99}}, 1), numbered{-1, -1}, 1, nil},
	} {
		before := tinyModel(t, 12)
		p := before.Clone()
		_, err := TrainStream(t.Context(), p, s, nil, cfg)
		assert.ErrorContains(t, err, want)
		assert.Equal(t, numbers(before), numbers(p))
	}
}
