package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
)

// errLines says that at least one line was answered with an error.
var errLines = errors.New("some lines were answered with errors")

// answerLines answers each JSON line of a command's input with one of its output. Unknown fields are refused, blank lines skipped.
func answerLines[In any](cmd *cobra.Command, answer func(line int, in In) (any, error)) error {
	ctx, reader, writer := cmd.Context(), bufio.NewReader(stdin(cmd)), bufio.NewWriter(cmd.OutOrStdout())
	encoder := json.NewEncoder(printable.JSONWriter(writer))
	encoder.SetEscapeHTML(false)
	failed := false
	for line := 1; ; line++ {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, writer.Flush())
		}
		text, readErr := reader.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			if err := answerLine(text, encoder, func(in In) (any, error) { return answer(line, in) }); err != nil {
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
		case readErr != nil:
			return readErr
		}
	}
}

func answerLine[In any](text []byte, encoder *json.Encoder, answer func(In) (any, error)) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var in In
	if err := decoder.Decode(&in); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind the JSON value")
	}
	result, err := answer(in)
	if err != nil {
		return err
	}
	return encoder.Encode(result)
}
