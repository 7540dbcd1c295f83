package data

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// ErrNoRows says that an import gave no row, so that nothing was written.
var ErrNoRows = errors.New("data: import: no row could be used")

// Write imports all files and writes a dataset, as WriteCompressed does. The report is complete when it returns. If there is no
// row to write it writes nothing and returns ErrNoRows.
func (im *Import) Write(ctx context.Context, path string, lineage Lineage, compression Compression) error {
	switch name := im.Schema().Name; name {
	case Text{}.Schema().Name:
		return writeImport[Text](ctx, im, path, lineage, compression)
	case Prompt{}.Schema().Name:
		return writeImport[Prompt](ctx, im, path, lineage, compression)
	case Conversation{}.Schema().Name:
		return writeImport[Conversation](ctx, im, path, lineage, compression)
	case Preference{}.Schema().Name:
		return writeImport[Preference](ctx, im, path, lineage, compression)
	case Sample{}.Schema().Name:
		return writeImport[Sample](ctx, im, path, lineage, compression)
	default:
		return fmt.Errorf("data: import: %s holds %s rows, which can only be read by the program that wrote them", im.files[0].name, name)
	}
}

func writeImport[T Row](ctx context.Context, im *Import, path string, lineage Lineage, compression Compression) error {
	return WriteCompressed(path, notNone(ImportRows[T](ctx, im)), lineage, compression)
}

// notNone ends with an error if there are no rows.
func notNone[T any](rows iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		some := false
		for row, err := range rows {
			some = true
			if !yield(row, err) {
				return
			}
		}
		if !some {
			var zero T
			yield(zero, ErrNoRows)
		}
	}
}
