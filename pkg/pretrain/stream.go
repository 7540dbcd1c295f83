package pretrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Stream is text in datasets that may be larger than memory: documents are read, tokenised and cut
// into windows as they are needed, Block at a time.
//
// The order of an epoch is shuffled at two places, both keyed by the seed and the epoch: the files,
// and the windows of each block. Documents of a file are read in their order, and a block continues
// in the next file. So a document meets those near it only, as in a shuffle buffer: sort no file.
type Stream struct {
	// Files are datasets with rows of data.Text.
	Files []string
	// Tokenizer makes the ids, with BOS and EOS as Encode puts them.
	Tokenizer data.Tokenizer
	// Block is the number of documents that are in memory, and shuffled, together.
	Block int
	// Fingerprint names the content of a file, with checkpoints only. Nil means data.Fingerprint; a data.Hasher hashes no file twice.
	Fingerprint func(ctx context.Context, path string) (string, error)
}

// Validate reports every setting that makes no sense.
func (s Stream) Validate() error {
	c := setting.NewChecks("pretrain: Stream")
	c.That(len(s.Files) > 0, "Files", s.Files, "at least one dataset")
	c.That(s.Tokenizer != nil, "Tokenizer", s.Tokenizer, "a tokenizer")
	c.AtLeast("Block", s.Block, 1)
	return c.Err()
}

// TrainStream is Train on a stream. Its memory does not grow with the data. A run that resumes reads
// the file it was in from the beginning, without tokenising what it has seen. With checkpoints the
// files are hashed once at the start, which reads them all.
func TrainStream(ctx context.Context, p *model.Params, s Stream, heldOut [][]int32, cfg Config) (train.Report, error) {
	size, err := windowSize(p, cfg)
	if err != nil {
		return train.Report{}, err
	}
	if err := s.Validate(); err != nil {
		return train.Report{}, err
	}
	source := &stream{Stream: s, size: size, tokens: cfg.BatchTokens, seed: cfg.Seed, check: p.Config().CheckTokens}
	defer source.close()
	items := func(*run.Digest) {}
	settings := struct {
		Config
		StreamBlock int
	}{cfg, s.Block}
	if cfg.Checkpointing.Dir != "" {
		if items, err = source.identity(ctx); err != nil {
			return train.Report{}, fmt.Errorf("pretrain: %w", err)
		}
	}
	return fit(ctx, p, source, settings, items, heldOut, cfg)
}

// stream is a train.Source over a Stream.
type stream struct {
	Stream
	size   int // of a window
	tokens int // at least so many each step
	seed   uint64
	check  func(ids []int32) error

	streamPlace
	block [][]int32 // its windows in their order; nil before it is read
	next  streamPlace
	file  *textFile // of next, nil before it is opened
}

// streamPlace is a position: in an epoch, in a file of its order, in the windows of a block.
type streamPlace struct {
	Epoch  int // complete passes before
	Blocks int // of this pass before
	File   int // in the order of the epoch, of the block's first document
	Row    int // of that document in its file
	At     int // windows of the block before
}

// Next implements train.Source: windows with at least s.tokens tokens in all.
func (s *stream) Next(ctx context.Context) (picked [][]int32, epochs float64, err error) {
	for got := 0; got < s.tokens; {
		if at := s.At; s.block == nil { // the start, or after Seek
			if err := s.read(ctx); err != nil {
				return nil, 0, err
			}
			if s.At = at; at > len(s.block) {
				return nil, 0, fmt.Errorf("window %d is after the %d windows of its block: the data has changed", at, len(s.block))
			}
		}
		if s.At == len(s.block) {
			if err := s.read(ctx); err != nil {
				return nil, 0, err
			}
		}
		window := s.block[s.At]
		s.At++
		picked, got = append(picked, window), got+len(window)
	}
	return picked, s.epochs(), nil
}

// epochs is the number of passes that were read so far, about.
func (s *stream) epochs() float64 {
	progress := 0.0
	if s.file != nil {
		progress = s.file.reader.Progress()
	}
	return float64(s.next.Epoch) + (float64(s.next.File)+progress)/float64(len(s.Files))
}

// read reads the block at s.next. Blocks without windows are passed over.
func (s *stream) read(ctx context.Context) error {
	s.block = nil // two of them are never in memory together
	begin := s.next.Epoch
	for s.next.Epoch <= begin+1 {
		place := s.next
		var docs [][]int32
		for len(docs) < s.Block && s.next.Epoch == place.Epoch {
			err := ctx.Err()
			if err != nil {
				return err
			}
			if docs, err = s.document(ctx, docs); err != nil {
				return err
			}
		}
		if s.next.Epoch == place.Epoch {
			s.next.Blocks++
		}
		if windows := cut(docs, s.size); len(windows) > 0 {
			s.streamPlace, s.block = place, make([][]int32, len(windows))
			const odd = 0x9e3779b97f4a7c15 // keeps the keys of blocks apart
			for i, k := range data.Shuffled(len(windows), s.seed+odd*uint64(place.Blocks), place.Epoch) {
				s.block[i] = windows[k]
			}
			return nil
		}
	}
	return fmt.Errorf("no document of two tokens or more: %w", data.ErrEmpty)
}

// document adds the document at s.next, or goes to the next file, or to the next epoch after the
// last one.
func (s *stream) document(ctx context.Context, docs [][]int32) ([][]int32, error) {
	if s.file == nil {
		path := s.Files[data.Shuffled(len(s.Files), ^s.seed, s.next.Epoch)[s.next.File]]
		file, err := openText(ctx, path, s.next.Row)
		if err != nil {
			return nil, err
		}
		s.file = file
	}
	text, ok, err := s.file.next()
	if err != nil {
		return nil, err
	}
	if !ok {
		s.close()
		s.next.File, s.next.Row = s.next.File+1, 0
		if s.next.File == len(s.Files) {
			s.next = streamPlace{Epoch: s.next.Epoch + 1}
		}
		return docs, nil
	}
	doc := Encode(s.Tokenizer, []string{text})[0]
	if err := s.check(doc); err != nil {
		return nil, fmt.Errorf("%s: row %d: %w", s.file.path, s.next.Row, err)
	}
	s.next.Row++
	return append(docs, doc), nil
}

// Position implements train.Source.
func (s *stream) Position() (json.RawMessage, error) { return json.Marshal(s.streamPlace) }

// Seek implements train.Source. The block is read by the next call of Next.
func (s *stream) Seek(position json.RawMessage) error {
	var to streamPlace
	if err := json.Unmarshal(position, &to); err != nil || min(to.Epoch, to.Blocks, to.File, to.Row, to.At) < 0 || to.File >= len(s.Files) {
		return fmt.Errorf("%s is not a position in %d files", position, len(s.Files))
	}
	s.close()
	s.streamPlace, s.next, s.block = to, to, nil
	s.next.At = 0
	return nil
}

// identity returns what writes the data into the identity of the run: the files' contents, and the
// ids of the first block, which depend on the tokenizer.
func (s *stream) identity(ctx context.Context) (func(*run.Digest), error) {
	fingerprint := s.Fingerprint
	if fingerprint == nil {
		fingerprint = data.Fingerprint
	}
	prints := make([]string, len(s.Files))
	for i, path := range s.Files {
		var err error
		if prints[i], err = fingerprint(ctx, path); err != nil {
			return nil, err
		}
	}
	err := s.read(ctx) // Next goes on with it
	return func(d *run.Digest) {
		for i, path := range s.Files {
			d.Part(filepath.Base(path))
			d.Text(prints[i])
		}
		d.Part("the tokenizer's ids of the first documents")
		run.Items((*run.Digest).Tokens, s.block)(d)
	}, err
}

func (s *stream) close() {
	if s.file != nil {
		s.file.close()
		s.file = nil
	}
}

// textFile hands out the documents of a dataset.
type textFile struct {
	path   string
	reader *data.Reader[data.Text]
	pull   func() (data.Text, error, bool)
	stop   func()
}

// openText opens a dataset and skips its first rows.
func openText(ctx context.Context, path string, rows int) (*textFile, error) {
	reader, err := data.Open[data.Text](path)
	if err != nil {
		return nil, err
	}
	f := &textFile{path: path, reader: reader}
	f.pull, f.stop = iter.Pull2(reader.Rows())
	for range rows {
		_, ok, err := f.next()
		if err == nil && !ok {
			err = fmt.Errorf("%s has fewer than %d rows: the data has changed", path, rows)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			f.close()
			return nil, err
		}
	}
	return f, nil
}

func (f *textFile) next() (text string, ok bool, err error) {
	row, err, ok := f.pull()
	return row.Text, ok && err == nil, err
}

func (f *textFile) close() {
	f.stop()
	_ = f.reader.Close() // it was only read
}
