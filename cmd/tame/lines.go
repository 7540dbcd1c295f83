package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/jsontext"
	"github.com/tame-rlhf/tame/internal/printable"
)

// maxLine is the longest line of an input that is answered line by line, in bytes: more text than any context has room for.
const maxLine = 2 << 20

// errLines says that at least one line was answered with an error.
var errLines = errors.New("some lines were answered with errors")

// answerLines answers each JSON line of a command's input with one of its output. Lines that
// jsontext.Decode refuses are answered with an error, blank lines are skipped.
func answerLines[In any](cmd *cobra.Command, answer func(line int, in In) (any, error)) error {
	ctx, reader, writer := cmd.Context(), bufio.NewReader(stdin(cmd)), bufio.NewWriter(cmd.OutOrStdout())
	encoder := json.NewEncoder(printable.JSONWriter(writer))
	encoder.SetEscapeHTML(false)
	failed := false
	for line := 1; ; line++ {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, writer.Flush())
		}
		text, readErr := bounded.ReadLine(reader, maxLine)
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		var long *bounded.LineError
		if errors.As(readErr, &long) || len(bytes.TrimSpace(text)) > 0 {
			var err error
			if long != nil {
				err = long
			} else {
				err = answerLine(text, encoder, func(in In) (any, error) { return answer(line, in) })
			}
			if err != nil {
				if ctx.Err() != nil {
					return errors.Join(ctx.Err(), writer.Flush())
				}
				failed = true
				if err := encoder.Encode(map[string]string{"error": fmt.Sprintf("line %d: %v", line, err)}); err != nil {
					return err
				}
			}
			if err := writer.Flush(); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(readErr, io.EOF) && failed:
			return errLines
		case errors.Is(readErr, io.EOF):
			return nil
		case readErr != nil && long == nil:
			return readErr
		}
	}
}

func answerLine[In any](text []byte, encoder *json.Encoder, answer func(In) (any, error)) error {
	var in In
	if err := jsontext.Decode(text, &in); err != nil {
		return err
	}
	if err := checkWritten(text, reflect.TypeFor[In]()); err != nil {
		return err
	}
	result, err := answer(in)
	if err != nil {
		return err
	}
	return encoder.Encode(result)
}

// checkWritten refuses null, which Go reads as an absent field, as the id 0 or as an empty text, and messages without a
// role or a text. The value has been decoded as an In.
func checkWritten(text []byte, in reflect.Type) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	if value == nil {
		return errors.New("the line is null, want an object")
	}
	for _, field := range reflect.VisibleFields(in) {
		name := field.Tag.Get("json")
		written, ok := value.(map[string]any)[name]
		if !ok {
			continue
		}
		if written == nil {
			return fmt.Errorf("%q is null, want a value, or no such field", name)
		}
		list, _ := written.([]any)
		if i := slices.Index(list, nil); i >= 0 {
			return fmt.Errorf("element %d of %q is null", i, name)
		}
		for i, element := range list {
			message, ok := element.(map[string]any)
			for _, key := range []string{"role", "content"} {
				if ok && message[key] == nil {
					return fmt.Errorf("message %d of %q has no %q", i, name, key)
				}
			}
		}
	}
	return nil
}
