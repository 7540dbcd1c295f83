package tokenizer

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tiny is trained on words whose merges can be found by hand. The words "▁ab" x3 and "▁abc" hold the pairs
// "▁a" 4, "ab" 4 and "bc" 1: "ab" sorts before "▁a", then "▁"+"ab" and "▁ab"+"c" are left. The characters follow by
// frequency (4, 4, 4, 1), then by code point.
//
//	0 <unk>  1 <s>  2 </s>  3 [INST]  4..259 bytes  260 ab  261 ▁ab  262 ▁abc  263 a  264 b  265 ▁  266 c
func tiny(t testing.TB) *Tokenizer {
	t.Helper()
	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.UserDefined = 267, []string{"[INST]"}
	tok, err := Train(context.Background(), slices.Values([]string{"ab ab", "ab\nabc"}), cfg)
	require.NoError(t, err)
	return tok
}

func TestTinyByHand(t *testing.T) {
	tok := tiny(t)
	assert.Equal(t, 267, tok.VocabSize())
	assert.Equal(t, []int32{0, 1, 2, -1}, []int32{tok.UNK(), tok.BOS(), tok.EOS(), tok.PAD()})
	for id, want := range map[int32]Piece{
		0: {"<unk>", 0, Unknown}, 1: {"<s>", 0, Control}, 2: {"</s>", 0, Control}, 3: {"[INST]", 0, UserDefined},
		4: {"<0x00>", 0, Byte}, 259: {"<0xFF>", 0, Byte},
		260: {"ab", 0, Normal}, 261: {"▁ab", -1, Normal}, 262: {"▁abc", -2, Normal},
		263: {"a", -3, Normal}, 264: {"b", -4, Normal}, 265: {"▁", -5, Normal}, 266: {"c", -6, Normal},
	} {
		assert.Equal(t, want, Piece{tok.Piece(id), tok.Score(id), tok.Type(id)})
		got, ok := tok.ID(want.Text)
		assert.True(t, ok)
		assert.Equal(t, id, got)
	}
	for text, want := range map[string][]int32{
		"":             nil,
		" ":            {265, 265},
		"a":            {265, 263},
		"abc":          {262},
		"abab":         {261, 260},
		"cab ab":       {265, 266, 260, 261},
		"b\n":          {265, 264, 4 + '\n'},
		"é":            {265, 4 + 0xC3, 4 + 0xA9},
		"\xff":         {265, 4 + 0xEF, 4 + 0xBF, 4 + 0xBD}, // U+FFFD
		"\x00":         {265, 4},
		"[INST] ab":    {265, 3, 261},
		"a[INST]b":     {265, 263, 3, 264}, // never "ab" across it
		"[INST[INST]]": {265, 4 + '[', 4 + 'I', 4 + 'N', 4 + 'S', 4 + 'T', 3, 4 + ']'},
		"<s>":          {265, 4 + '<', 4 + 's', 4 + '>'}, // not BOS
		"<0x41>":       {265, 4 + '<', 4 + '0', 4 + 'x', 4 + '4', 4 + '1', 4 + '>'},
	} {
		assert.Equal(t, want, tok.Encode(text), "%q", text)
	}
}

func TestDecodeByHand(t *testing.T) {
	tok := tiny(t)
	for _, c := range []struct {
		ids  []int32
		want string
	}{
		{nil, ""},
		{[]int32{262, 261}, "abc ab"},                            // only the first space goes
		{[]int32{1, 261, 2}, "ab"},                               // control pieces are nothing
		{[]int32{1, 265, 265, 263}, " a"},                        // one space of two
		{[]int32{3, 261}, "[INST] ab"},                           // the text has begun before the space
		{[]int32{4 + 0xC3, 4 + 0xA9, 261}, "é ab"},               // bytes join
		{[]int32{4 + 0xC3, 261}, "\uFFFD ab"},                    // a character cut short
		{[]int32{4 + 0xE2, 4 + 0x96, 4 + 'x', 4 + 0xA9}, "��x�"}, // each bad byte
		{[]int32{0, 263}, " ⁇ a"},
	} {
		got, err := tok.Decode(c.ids)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, "%v", c.ids)
	}
	for _, id := range []int32{-1, 267, math.MaxInt32, math.MinInt32} {
		_, err := tok.Decode([]int32{261, id})
		require.ErrorContains(t, err, "position 1")
		_, err = tok.NewStream().Next(id)
		require.ErrorContains(t, err, "not in the vocabulary of 267 pieces")
		assert.Equal(t, "", tok.Piece(id))
		assert.Zero(t, tok.Score(id))
		assert.Zero(t, tok.Type(id))
	}
}

func TestStreamHoldsBackHalfCharacters(t *testing.T) {
	tok := tiny(t)
	s := tok.NewStream()
	var got []string
	for _, id := range []int32{1, 261, 4 + 0xF0, 4 + 0x9F, 4 + 0xA6, 4 + 0x99, 261, 4 + 0xF0, 4 + 0x9F} {
		text, err := s.Next(id)
		require.NoError(t, err)
		got = append(got, text)
	}
	assert.Equal(t, []string{"", "ab", "", "", "", "🦙", " ab", "", ""}, got)
	assert.Equal(t, "\uFFFD\uFFFD", s.Flush())
	assert.Equal(t, "", s.Flush())
}

// randomText mixes what the vocabulary knows, other scripts, control characters and markers.
func randomText(rng *rand.Rand, n int) string {
	parts := []string{"a", "b", "c", "ab", "abc", " ", "  ", "\n", "\t", "é", "漢", "🦙", "e\u0301", "[INST]", "[INST",
		"<s>", "</s>", "<unk>", "<0x0A>", "7", "\x00", "\u00A0", "\uFFFD"}
	var b strings.Builder
	for range rng.IntN(n) {
		b.WriteString(parts[rng.IntN(len(parts))])
	}
	return b.String()
}

func TestRoundTrip(t *testing.T) {
	tok := tiny(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text := randomText(rng, 30)
		ids := tok.Encode(text)
		got, err := tok.Decode(ids)
		require.NoError(t, err)
		require.Equal(t, text, got)
		for _, id := range ids {
			require.NotContains(t, []PieceType{Control, Unknown}, tok.Type(id), "%q", text)
		}
	}
}

// encodePlainly is the definition of the encoding: of all neighbours merge those of the highest score, the leftmost.
func encodePlainly(tok *Tokenizer, text string) []int32 {
	var parts []string
	var frozen []bool
	for norm := tok.norm.apply(text); norm != ""; {
		n := tok.user.match(norm)
		frozen = append(frozen, n > 0)
		if n == 0 {
			n = len(string([]rune(norm)[0]))
		}
		parts, norm = append(parts, norm[:n]), norm[n:]
	}
	for {
		best, bestID := -1, int32(0)
		for i := range max(0, len(parts)-1) {
			id, ok := tok.merges[parts[i]+parts[i+1]]
			if ok && !frozen[i] && !frozen[i+1] && (best < 0 || tok.Score(id) > tok.Score(bestID)) {
				best, bestID = i, id
			}
		}
		if best < 0 {
			break
		}
		parts[best] += parts[best+1]
		parts, frozen = slices.Delete(parts, best+1, best+2), slices.Delete(frozen, best+1, best+2)
	}
	var ids []int32
	for _, p := range parts {
		if id, ok := tok.merges[p]; ok {
			ids = append(ids, id)
			continue
		}
		for _, b := range []byte(p) {
			ids = append(ids, tok.bytes[b])
		}
	}
	return ids
}

func TestEncodeIsTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var texts []string
	for range 300 {
		texts = append(texts, randomText(rng, 20))
	}
	cfg := DefaultTrainConfig()
	cfg.VocabSize, cfg.UserDefined, cfg.SplitByScript = 330, []string{"[INST]", "[INST", "<s", "ab c"[:2]}, false
	tok, err := Train(context.Background(), slices.Values(texts), cfg)
	require.NoError(t, err)
	whole, err := FromPieces(tok.Pieces(), tok.Parts())
	require.NoError(t, err)
	whole.wordwise = false
	require.True(t, tok.wordwise)
	for range 1000 {
		text := randomText(rng, 40)
		want := encodePlainly(tok, text)
		require.Equal(t, want, tok.Encode(text), "%q", text)
		require.Equal(t, want, whole.Encode(text), "%q", text)
	}
}

// Without byte pieces a run of unknown characters is one unknown piece; unused pieces are taken apart.
func TestUnknownAndUnused(t *testing.T) {
	sp := newSpec(0, false, nil)
	tok, err := newTokenizer([]Piece{
		{"<unk>", 0, Unknown}, {"▁", -5, Normal}, {"a", -6, Normal}, {"b", -7, Normal},
		{"ab", -1, Unused}, {"▁ab", -2, Normal}, {"aba", -3, Unused}, {"q", -8, Unused},
	}, sp)
	require.NoError(t, err)
	assert.Equal(t, []int32{-1, -1, -1}, []int32{tok.BOS(), tok.EOS(), tok.PAD()})
	assert.Equal(t, []int32{1, 0, 2, 0}, tok.Encode("漢字a!?"))
	assert.Equal(t, []int32{5, 2, 3}, tok.Encode("abab"))
	assert.Equal(t, []int32{1, 3, 2, 3, 2}, tok.Encode("baba")) // "aba" into "ab" and "a", "ab" into "a" and "b"
	assert.Equal(t, []int32{1, 7}, tok.Encode("q"))             // nothing to take apart
}

// withBytes adds the byte pieces to a vocabulary.
func withBytes(t *testing.T, pieces ...Piece) *Tokenizer {
	t.Helper()
	for b := range 256 {
		pieces = append(pieces, Piece{byteName(byte(b)), 0, Byte})
	}
	tok, err := newTokenizer(pieces, newSpec(0, true, nil))
	require.NoError(t, err)
	return tok
}

// A piece that goes across words turns the shortcut word by word off.
func TestPieceAcrossWords(t *testing.T) {
	tok := withBytes(t, Piece{"<unk>", 0, Unknown}, Piece{"▁", -5, Normal}, Piece{"a", -6, Normal},
		Piece{"a▁", -1, Normal}, Piece{"a▁▁", -2, Normal})
	assert.Equal(t, []int32{1, 3, 4}, tok.Encode("a a  "))
}

// User-defined pieces stay as they are though there are pieces that contain them.
func TestUserDefinedNeverMerges(t *testing.T) {
	tok := withBytes(t, Piece{"<unk>", 0, Unknown}, Piece{"▁", -5, Normal}, Piece{"a", -6, Normal}, Piece{"b", -6, Normal},
		Piece{"X", 0, UserDefined}, Piece{"XX", 0, UserDefined}, Piece{"Xa", -1, Normal}, Piece{"bX", -2, Normal},
		Piece{"▁X", -3, Normal})
	assert.Equal(t, []int32{1, 4, 2, 3, 4}, tok.Encode("XabX"))
	assert.Equal(t, []int32{1, 5, 4, 2}, tok.Encode("XXXa"))
}

func TestRemoveExtraWhitespace(t *testing.T) {
	sp := newSpec(0, false, nil)
	sp.removeExtra = true
	tok, err := newTokenizer([]Piece{{"<unk>", 0, Unknown}, {"▁", -1, Normal}, {"a", -2, Normal}}, sp)
	require.NoError(t, err)
	assert.Equal(t, []int32{1, 2, 1, 2}, tok.Encode("  a   a  "))
	assert.Nil(t, tok.Encode("   "))
	text, err := tok.Decode([]int32{1, 1, 2, 1, 2}) // no space is left in front
	require.NoError(t, err)
	assert.Equal(t, "a a", text)
}

func TestSaveAndLoad(t *testing.T) {
	tok := tiny(t)
	path := filepath.Join(t.TempDir(), "tokenizer.model")
	require.NoError(t, tok.Save(path))
	again, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, tok.pieces, again.pieces)
	assert.Equal(t, tok.spec, again.spec)
	assert.Equal(t, tok.Encode("abc [INST] é"), again.Encode("abc [INST] é"))
	require.Error(t, tok.Save(filepath.Join(t.TempDir(), "no", "folder.model")))
	require.ErrorContains(t, tok.WriteModel(failingWriter{}), "tokenizer: write model: full")
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func llama2C(longest int32, pieces ...string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(longest))
	for i, p := range pieces {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(-float32(i)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func TestLoadLlama2C(t *testing.T) {
	data := llama2C(9, "<unk>", "\n<s>\n", "\n</s>\n", " a", " ", "a")
	tok, err := parseLlama2C(data)
	require.NoError(t, err)
	assert.Equal(t, []int32{0, 1, 2, -1}, []int32{tok.UNK(), tok.BOS(), tok.EOS(), tok.PAD()})
	assert.Equal(t, "▁a", tok.Piece(3))
	assert.Equal(t, []int32{3, 5, 4, 3}, tok.Encode("aa  a"))

	path := filepath.Join(t.TempDir(), "tok.bin")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err = Load(path)
	require.NoError(t, err)
}

// Errors name the file, the piece and the reason.
func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	model := func(pieces []Piece, sp spec) []byte {
		return (&Tokenizer{pieces: pieces, spec: sp}).encodeModel()
	}
	bpe, withBytes := newSpec(0, false, nil), newSpec(0, true, nil)
	unk := Piece{"<unk>", 0, Unknown}
	suffix := newSpec(0, false, appendVarint(nil, trainerSpaceSuffix, 1))
	char := newSpec(0, false, appendVarint(nil, trainerModelType, modelChar))
	odd := newSpec(0, false, appendVarint(nil, trainerModelType, 77))
	denormalizer := bpe
	denormalizer.rest = appendBytes(nil, modelDenormalizer, appendBytes(nil, normCharsMap, []byte("rules")))
	charsMap := func(b ...byte) spec {
		sp := newSpec(0, false, nil)
		sp.normalizer = appendBytes(nil, normCharsMap, b)
		return sp
	}

	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"empty.model", "the file is empty", nil},
		{"text.model", "broken", []byte("this is not a model")},
		{"cut.model", "broken field 1 at byte 0", model([]Piece{unk}, bpe)[:5]},
		{"none.model", "it has no pieces", model(nil, bpe)},
		{"char.model", "the model type is char", model([]Piece{unk}, char)},
		{"odd.model", "the model type is number 77", model([]Piece{unk}, odd)},
		{"suffix.model", "white space at the end of pieces", model([]Piece{unk}, suffix)},
		{"denorm.model", "denormaliser", model([]Piece{unk}, denormalizer)},
		{"nounk.model", "no piece has the type unknown", model([]Piece{{"a", 0, Normal}}, bpe)},
		{"unk2.model", "piece 1: \"u\" has the type unknown, and so has piece 0", model([]Piece{unk, {"u", 0, Unknown}}, bpe)},
		{"twice.model", `piece 2: "a" is piece 1 already`, model([]Piece{unk, {"a", 0, Normal}, {"a", 0, Unused}}, bpe)},
		{"control2.model", `piece 2: "c" is piece 1 already`, model([]Piece{unk, {"c", 0, Control}, {"c", 0, Control}}, bpe)},
		{"notext.model", "piece 1: the text is empty", model([]Piece{unk, {"", 0, Normal}}, bpe)},
		{"long.model", "piece 1: the text is 8000 bytes long", model([]Piece{unk, {strings.Repeat("a", 8000), 0, Normal}}, bpe)},
		{"utf8.model", "not valid UTF-8", model([]Piece{unk, {"\xff", 0, Normal}}, bpe)},
		{"null.model", "null character", model([]Piece{unk, {"a\x00", 0, Normal}}, bpe)},
		{"nan.model", "the score of \"a\" is NaN", model([]Piece{unk, {"a", float32(math.NaN()), Normal}}, bpe)},
		{"type.model", "unknown type 9", model([]Piece{unk, {"a", 0, 9}}, bpe)},
		{"nobytes.model", "the piece <0x00> is missing", model([]Piece{unk}, withBytes)},
		{"byte.model", "the model has no byte fallback", model([]Piece{unk, {"<0x00>", 0, Byte}}, bpe)},
		{"bytename.model", "not of the form", model([]Piece{unk, {"<0xfg>", 0, Byte}}, withBytes)},
		{"map1.model", "cut short", model([]Piece{unk}, charsMap(1))},
		{"map2.model", "says that its trie has 255", model([]Piece{unk}, charsMap(255, 0, 0, 0, 1))},
		{"map3.model", "does not end", model([]Piece{unk}, charsMap(4, 0, 0, 0, 1, 2, 3, 4, 'x'))},
		{"short.bin", "shorter than the header", []byte{1, 0}},
		{"nothing.bin", "has no pieces", llama2C(3)},
		{"header.bin", "piece 1: the file ends inside", append(llama2C(5, "<unk>"), 1, 2, 3)},
		{"length.bin", "piece 1: length 3 is outside 0 to 2", llama2C(2, "ab", "abc")},
		{"negative.bin", "piece 0: length -1 is outside 0 to 5", append(llama2C(5), 0, 0, 0, 0, 255, 255, 255, 255)},
		{"end.bin", "piece 0: length 5, but only 3 bytes are left", llama2C(5, "<unk>")[:15]},
		{"nounk.bin", "no piece has the type unknown", llama2C(5, "a")},
		{"bytes.bin", "the piece <0x00> is missing", llama2C(6, "<unk>", "<0x01>")},
	} {
		path := write(c.name, c.data)
		_, err := Load(path)
		require.ErrorContains(t, err, "tokenizer: "+path+": ")
		require.ErrorContains(t, err, c.want, c.name)
	}
	_, err := Load(filepath.Join(dir, "missing.model"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = LoadModel(io.MultiReader(strings.NewReader("x"), failingReader{}))
	require.ErrorContains(t, err, "tokenizer: read model: gone")
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestConcurrentUse(t *testing.T) {
	tok := tiny(t)
	want := tok.Encode("abc ab é[INST]")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				assert.Equal(t, want, tok.Encode("abc ab é[INST]"))
				_, err := tok.Decode(want)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
}
