package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// parseLlama2C reads a llama2.c tokenizer.bin: an int32 with the length of the longest piece, then for each piece a
// float32 score, an int32 length and that many bytes, all little-endian, to the end of the file. Spaces stand for "▁".
//
// The format has no types: <unk>, <s> and </s> are the pieces 0, 1 and 2, as llama2.c has it, <0x0A> and the like are
// bytes, all else is normal. Text is normalised as by Llama's own model.
func parseLlama2C(data []byte) (*Tokenizer, error) {
	if len(data) < 4 {
		return nil, errors.New("the file is shorter than the header of a llama2.c tokenizer")
	}
	longest := int64(int32(binary.LittleEndian.Uint32(data)))
	var pieces []Piece
	numBytes := 0
	for rest := data[4:]; len(rest) > 0; {
		id := len(pieces)
		if len(rest) < 8 {
			return nil, fmt.Errorf("piece %d: the file ends inside its score and length", id)
		}
		score := math.Float32frombits(binary.LittleEndian.Uint32(rest))
		n := int64(int32(binary.LittleEndian.Uint32(rest[4:])))
		rest = rest[8:]
		switch {
		case n < 0 || n > longest:
			return nil, fmt.Errorf("piece %d: length %d is outside 0 to %d, the longest by the header; "+
				"is this a llama2.c tokenizer?", id, n, longest)
		case n == 0:
			return nil, fmt.Errorf("piece %d: %w", id, errNoText)
		case n > int64(len(rest)):
			return nil, fmt.Errorf("piece %d: length %d, but only %d bytes are left", id, n, len(rest))
		}
		p := llama2CPiece(id, string(rest[:n]))
		p.Score = score
		if p.Type == Byte {
			numBytes++
		}
		pieces = append(pieces, p)
		rest = rest[n:]
	}
	if len(pieces) == 0 {
		return nil, errors.New("the llama2.c tokenizer has no pieces")
	}
	return newTokenizer(pieces, newSpec(len(pieces), numBytes > 0, nil))
}

func llama2CPiece(id int, text string) Piece {
	switch name := strings.Trim(text, "\n"); {
	case id == 0 && name == "<unk>":
		return Piece{Text: name, Type: Unknown}
	case id == 1 && name == "<s>", id == 2 && name == "</s>": // written with line breaks around them
		return Piece{Text: name, Type: Control}
	}
	if _, ok := parseByteName(text); ok {
		return Piece{Text: text, Type: Byte}
	}
	return Piece{Text: strings.ReplaceAll(text, " ", space), Type: Normal}
}
