package data_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func ptr[T any](v T) *T { return &v }

var (
	texts   = []data.Text{{Text: "Once upon a time"}, {Text: ""}, {Text: "Zürich 日本\n"}}
	prompts = []data.Prompt{
		{ID: "a", Messages: withSystem("Be kind.", dialog("Hi")), Safety: true},
		{ID: "b", Messages: dialog("Hi", "Hello", "Bye")},
	}
	conversations = []data.Conversation{{Messages: dialog("Hi", "Hello", "Bye"), Source: "x.jsonl"}}
	preferences   = []data.Preference{
		{Messages: dialog("Hi"), Chosen: "Hello", Rejected: "", Rating: data.NegligiblyBetter,
			ChosenSafe: data.Safe, RejectedSafe: data.Unsafe, Set: data.SafetySet},
		{Messages: dialog("Hi"), Chosen: "Hello", Rejected: "No", Rating: data.SignificantlyBetter},
	}
	samples = []data.Sample{
		{PromptID: "a", Messages: dialog("Hi"), Prompt: []int32{1, 5, 6}, Tokens: []int32{7, 2}, LogProbs: []float32{-0.25, -1e-7},
			Text: "Hello", Finished: true, Helpfulness: ptr(-1.5), Safety: ptr(0.0), Version: 3, Temperature: 1.2},
		{PromptID: "a", Messages: dialog("Hi"), Prompt: []int32{1}, Combined: ptr(math.Inf(-1))},
	}
	lineage = data.Lineage{Stage: "test", Config: json.RawMessage(`{"lr":0.1}`), Seed: math.MaxUint64,
		Inputs: []data.Input{{Name: "in.arrow", Fingerprint: "sha256:00"}}}
)

func roundTrip[T data.Row](t *testing.T, rows []T) {
	t.Run(rows[0].Schema().Name, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x.arrow")
		require.NoError(t, data.Write(path, rows, lineage))
		got, gotLineage, err := data.Read[T](path)
		require.NoError(t, err)
		assert.Equal(t, rows, got)
		assert.Equal(t, lineage, gotLineage)

		again := filepath.Join(t.TempDir(), "y.arrow")
		require.NoError(t, data.Write(again, rows, lineage))
		a, err := data.Fingerprint(t.Context(), path)
		require.NoError(t, err)
		b, err := data.Fingerprint(t.Context(), again)
		require.NoError(t, err)
		assert.Equal(t, a, b, "the same rows give the same bytes")
	})
}

func TestRoundTrip(t *testing.T) {
	roundTrip(t, texts)
	roundTrip(t, prompts)
	roundTrip(t, conversations)
	roundTrip(t, preferences)
	roundTrip(t, samples)
	roundTrip(t, everyKind)
}

// every has each kind of field that a row may have.
type every struct {
	Bool    bool         `arrow:"bool"`
	Int     int          `arrow:"int"`
	Int8    int8         `arrow:"int8"`
	Int16   int16        `arrow:"int16"`
	Uint    uint         `arrow:"uint"`
	Uint8   uint8        `arrow:"uint8"`
	Uint16  uint16       `arrow:"uint16"`
	Uint32  uint32       `arrow:"uint32"`
	Uint64  uint64       `arrow:"uint64"`
	Float   float32      `arrow:"float"`
	Rating  *data.Rating `arrow:"rating"`
	Message data.Message `arrow:"message"`
	Nested  [][]int32    `arrow:"nested"`
	Maybe   []*string    `arrow:"maybe"`
	Bytes   []byte       `arrow:"bytes"`
	_       int
	Left    func() `arrow:"-"`
}

func (every) Schema() data.Schema { return data.Schema{Name: "every", Version: 2} }

var everyKind = []every{
	{Bool: true, Int: math.MinInt64, Int8: -128, Int16: -5, Uint: math.MaxUint64, Uint8: 255, Uint16: 65535, Uint32: 1 << 31,
		Uint64: math.MaxUint64, Float: 0.1, Rating: ptr(data.Better), Message: dialog("a")[0],
		Nested: [][]int32{{1, 2}, nil, {3}}, Maybe: []*string{nil, ptr("x")}, Bytes: []byte{0, 255}},
	{Message: dialog("b")[0]},
}

func TestManyBatches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	rows := make([]data.Text, 3000)
	for i := range rows {
		rows[i].Text = fmt.Sprint(i)
	}
	rows[7].Text = strings.Repeat("long ", 2<<20) // closes its batch by size
	require.NoError(t, data.Write(path, rows, data.Lineage{}))

	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	reader, err := ipc.NewFileReader(file)
	require.NoError(t, err)
	assert.Equal(t, 4, reader.NumRecords()) // 8, 1024, 1024, 944 rows

	r, err := data.Open[data.Text](path)
	require.NoError(t, err)
	defer r.Close()
	for range 2 { // rows can be gone through again
		i := 0
		for row, err := range r.Rows() {
			require.NoError(t, err)
			if row != rows[i] {
				t.Fatalf("row %d differs", i)
			}
			i++
		}
		assert.Equal(t, len(rows), i)
	}
	for row := range r.Rows() {
		assert.Equal(t, rows[0], row)
		break
	}
}

func TestWriteRefusesInvalidRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	for name, write := range map[string]func() error{
		`row 1: data: message 1, the last of the prompt, is from assistant`: func() error {
			return data.Write(path, []data.Prompt{prompts[0], {ID: "x", Messages: dialog("Hi", "Hello")}}, lineage)
		},
		"prompt has no id":           func() error { return data.Write(path, []data.Prompt{{Messages: dialog("Hi")}}, lineage) },
		"no answer to learn":         func() error { return data.Write(path, []data.Conversation{{Messages: dialog("Hi")}}, lineage) },
		`"rating": unknown rating 0`: func() error { return data.Write(path, []data.Preference{{Messages: dialog("Hi")}}, lineage) },
		"2 log-probabilities for 1 tokens": func() error {
			return data.Write(path, []data.Sample{{Prompt: []int32{1}, Tokens: []int32{1}, LogProbs: []float32{0, 0}}}, lineage)
		},
		"no prompt ids":                    func() error { return data.Write(path, []data.Sample{{}}, lineage) },
		`column "text" is not valid UTF-8`: func() error { return data.Write(path, []data.Text{{Text: "a\xff"}}, lineage) },
		"row 1: source failed": func() error {
			return data.WriteSeq(path, func(yield func(data.Text, error) bool) {
				_ = yield(data.Text{Text: "a"}, nil) && yield(data.Text{}, errors.New("source failed"))
			}, lineage)
		},
		"has no column":   func() error { return data.Write(path, []untagged{{}}, lineage) },
		"no Arrow form":   func() error { return data.Write(path, []odd{{}}, lineage) },
		"nested too deep": func() error { return data.Write(path, []tree{{}}, lineage) },
		"want a struct":   func() error { return data.Write(path, []notStruct{1}, lineage) },
		"lineage":         func() error { return data.Write(path, texts, data.Lineage{Config: json.RawMessage("{")}) },
	} {
		assert.ErrorContains(t, write(), name)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Empty(t, left, "nothing is left behind")
	assert.Error(t, data.Write(filepath.Join(path, "no", "folder.arrow"), texts, lineage))
}

type untagged struct{ A int }
type odd struct {
	A map[string]int `arrow:"a"`
}
type tree struct {
	Children []tree `arrow:"children"`
}
type notStruct int

func (untagged) Schema() data.Schema  { return data.Schema{} }
func (odd) Schema() data.Schema       { return data.Schema{} }
func (tree) Schema() data.Schema      { return data.Schema{} }
func (notStruct) Schema() data.Schema { return data.Schema{} }

func TestWriteReplacesAtomically(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	require.NoError(t, data.Write(path, texts, lineage))
	assert.Error(t, data.Write(path, []data.Text{{Text: "new"}, {Text: "\xff"}}, lineage))
	got, _, err := data.Read[data.Text](path)
	require.NoError(t, err)
	assert.Equal(t, texts, got, "the old file is still there")
}

func TestEmptyDataset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	require.NoError(t, data.Write(path, []data.Sample(nil), lineage))
	got, gotLineage, err := data.Read[data.Sample](path)
	require.NoError(t, err)
	assert.Equal(t, lineage, gotLineage)
	err = data.NotEmpty(path, len(got))
	assert.ErrorIs(t, err, data.ErrEmpty)
	assert.ErrorContains(t, err, path)
	assert.NoError(t, data.NotEmpty(path, 1))
}

// writeArrow writes one record as another program would: without our metadata.
func writeArrow(t *testing.T, fields []arrow.Field, build func(b *array.RecordBuilder), options ...ipc.Option) string {
	path := filepath.Join(t.TempDir(), "foreign.arrow")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	schema := arrow.NewSchema(fields, nil)
	w, err := ipc.NewFileWriter(file, append(options, ipc.WithSchema(schema))...)
	require.NoError(t, err)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	build(b)
	rec := b.NewRecord()
	defer rec.Release()
	require.NoError(t, w.Write(rec))
	require.NoError(t, w.Close())
	return path
}

type flexible struct {
	Name   string   `arrow:"name"`
	Tokens []int32  `arrow:"tokens"`
	Score  *float32 `arrow:"score"`
	Gone   *string  `arrow:"gone"`
}

func (flexible) Schema() data.Schema { return data.Schema{Name: "flexible", Version: 1} }

func TestReadForeign(t *testing.T) {
	dictionary := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	for name, compressed := range map[string][]ipc.Option{"plain": nil, "zstd": {ipc.WithZstd()}, "lz4": {ipc.WithLZ4()}} {
		t.Run(name, func(t *testing.T) {
			path := writeArrow(t, []arrow.Field{
				{Name: "extra", Type: arrow.FixedWidthTypes.Date32},
				{Name: "tokens", Type: arrow.LargeListOf(arrow.PrimitiveTypes.Int64), Nullable: true},
				{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
				{Name: "name", Type: dictionary},
			}, func(b *array.RecordBuilder) {
				b.Field(0).(*array.Date32Builder).AppendValues([]arrow.Date32{1, 2}, nil)
				list := b.Field(1).(*array.LargeListBuilder)
				list.Append(true)
				list.ValueBuilder().(*array.Int64Builder).AppendValues([]int64{5, 6}, nil)
				list.Append(true)
				b.Field(2).(*array.Float64Builder).AppendValues([]float64{0.1, 0}, []bool{true, false})
				require.NoError(t, b.Field(3).(*array.BinaryDictionaryBuilder).AppendString("a"))
				require.NoError(t, b.Field(3).(*array.BinaryDictionaryBuilder).AppendString("b"))
			}, compressed...)
			got, gotLineage, err := data.Read[flexible](path)
			require.NoError(t, err)
			assert.Equal(t, []flexible{{Name: "a", Tokens: []int32{5, 6}, Score: ptr(float32(0.1))}, {Name: "b"}}, got)
			assert.Equal(t, data.Lineage{}, gotLineage)
		})
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.arrow")
	require.NoError(t, data.Write(path, preferences, lineage))
	wrong := func(text string) string {
		path := filepath.Join(dir, "wrong")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	check := func(want string, err error) {
		t.Helper()
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "data: read")
	}
	_, _, err := data.Read[data.Prompt](path)
	check(path+": holds preference v1 rows, want prompt v1", err)
	_, _, err = data.Read[data.Text](wrong(""))
	check("wrong: is not an Arrow IPC file: it has 0 bytes", err)
	_, _, err = data.Read[data.Text](wrong("PAR1 PAR1"))
	check("is not a Parquet file: it has 9 bytes", err)
	_, _, err = data.Read[data.Text](wrong("PAR1 and no more, PARE"))
	check("is encrypted", err)
	_, _, err = data.Read[data.Text](wrong(`{"text": "hello"}`))
	check(`does not begin with "ARROW1"`, err)
	_, _, err = data.Read[data.Text](wrong("ARROW1\x00\x00 and no more"))
	check("is cut off", err)
	_, _, err = data.Read[data.Text](wrong("\xff\xff\xff\xff stream"))
	check("the message at byte 0 is damaged", err)
	_, _, err = data.Read[data.Text](dir)
	check("not a regular file", err)
	_, _, err = data.Read[data.Text](filepath.Join(dir, "none.arrow"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	one := func(dt arrow.DataType, build func(b array.Builder)) string {
		return writeArrow(t, []arrow.Field{{Name: "text", Type: dt, Nullable: true}},
			func(b *array.RecordBuilder) { build(b.Field(0)) })
	}
	_, _, err = data.Read[data.Text](one(arrow.PrimitiveTypes.Int32, func(b array.Builder) { b.(*array.Int32Builder).Append(1) }))
	check(`column "text" is int32, want utf8`, err)
	_, _, err = data.Read[data.Text](one(arrow.BinaryTypes.String, func(b array.Builder) { b.AppendNull() }))
	check(`row 0: column "text" is null`, err)
	_, _, err = data.Read[data.Text](one(arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("\xff") }))
	check(`row 0: column "text" is not valid UTF-8`, err)
	_, _, err = data.Read[data.Conversation](one(arrow.BinaryTypes.String, func(b array.Builder) { b.AppendNull() }))
	check(`has 0 columns "messages" of conversation v1, want 1; its columns are [text]`, err)

	narrow := writeArrow(t, []arrow.Field{
		{Name: "name", Type: arrow.BinaryTypes.LargeString},
		{Name: "tokens", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64)},
	}, func(b *array.RecordBuilder) {
		b.Field(0).(*array.LargeStringBuilder).Append("a")
		list := b.Field(1).(*array.ListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Int64Builder).Append(1 << 40)
	})
	_, _, err = data.Read[flexible](narrow)
	check(`row 0: column "tokens[]": 1099511627776 does not fit into int32`, err)
}

// newer is a later version of Text.
type newer struct {
	Text string `arrow:"text"`
}

func (newer) Schema() data.Schema { return data.Schema{Name: "text", Version: 2} }

func TestSchemaVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	require.NoError(t, data.Write(path, texts, lineage))
	_, _, err := data.Read[newer](path)
	assert.NoError(t, err, "an older file is read")
	require.NoError(t, data.Write(path, []newer{{"a"}}, lineage))
	_, _, err = data.Read[data.Text](path)
	assert.ErrorContains(t, err, "holds text v2 rows, want text v1")
}

func TestEnumNames(t *testing.T) {
	// The paper's words, section 3.2.1.
	assert.Equal(t, "significantly better", data.SignificantlyBetter.String())
	assert.Equal(t, "negligibly better / unsure", data.NegligiblyBetter.String())
	assert.Equal(t, 4, int(data.SignificantlyBetter))
	assert.Equal(t, "Rating(5)", data.Rating(5).String())
	assert.Equal(t, "unsafe", data.Unsafe.String())
	assert.Equal(t, "safety", data.SafetySet.String())
	assert.Equal(t, "last turn", data.LastTurn.String())
	var r data.Rating
	assert.ErrorContains(t, r.UnmarshalText([]byte("good")), `unknown rating "good", want negligibly better / unsure, slightly better`)
}
