package pth

import (
	"bytes"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program puts a pickle's instructions together: bytes and texts.
func program(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case rune:
			b = append(b, byte(p))
		case string:
			b = append(b, p...)
		}
	}
	return b
}

func TestPickleRefused(t *testing.T) {
	evil := filepath.Join(t.TempDir(), "evil")
	for _, c := range []struct {
		want string
		code []byte
	}{
		{`byte 2: the name "os.system" has no place`, program(opProto, 2, "cos\nsystem\n", "X", 10, 0, 0, 0, "touch "+evil, ")R.")},
		{`the name "builtins.eval"`, program("cbuiltins\neval\n.")},
		{`the name "torch._utils._rebuild_device_tensor_from_numpy"`, program("ctorch._utils\n_rebuild_device_tensor_from_numpy\n.")},
		{`the name "collections.OrderedDict\x00"`, program("ccollections\nOrderedDict\x00\n.")},
		{"instruction 0x69 ('i')", program("(ios\nsystem\n.")}, // INST
		{"instruction 0x93", program(0x93, '.')},               // STACK_GLOBAL
		{"instruction 0x81", program(0x81, '.')},               // NEWOBJ
		{"instruction 0x82", program(0x82, 1, '.')},            // EXT1
		{"instruction 0x50 ('P')", program("Px\n.")},           // PERSID
		{"protocol 4", program(opProto, 4, '.')},
		{"a name without an end", program("cos")},
		{"a name without an end", program("c", strings.Repeat("x", 300), "\ny\n.")},
		{"a call of a text, which", program("X", 1, 0, 0, 0, "x)R.")},
		{"a call with a dictionary", program("ccollections\nOrderedDict\n}R.")},
		{"with 1 arguments, want none", program("ccollections\nOrderedDict\nN", opTuple1, "R.")},
		{"without a tensor", program("ctorch._utils\n_rebuild_parameter\n)R.")},
		{"a tensor of 0 parts", program("ctorch._utils\n_rebuild_tensor_v2\n)R.")},
		{"without storage, offset", program("ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR.")},
		{"a reference None", program("NQ.")},
		{"a reference tuple of 1", program("N", opTuple1, "Q.")},
		{"it holds a None", program("N.")},
		{"it holds a torch.FloatStorage", program("ctorch\nFloatStorage\n.")},
		{"too few values", program("0.")[1:]},
		{"too few values", program("t.")},
		{"too few values", program("}u.")},
		{"too few values", program("}s.")},
		{"too few values", program("}(Nu.")},
		{"too few values", program("N(", opTuple1, ".")},
		{"too few values", program("(q", 0, ".")},
		{"too few values", program("b.")},
		{"too few values", program("e.")},
		{"too few values", program("Na.")},
		{"too few values", program("R.")},
		{"items for a None, want a dictionary", program("NNNs.")},
		{"elements for a dictionary, want a list", program("}Na.")},
		{"a state for a truth value", program(opNewTrue, "Nb.")},
		{"nothing is remembered under 7", program("h", 7, ".")},
		{"nothing is remembered under 16909060", program("j", 4, 3, 2, 1, ".")},
		{"1 bytes wanted, 0 are left", program("N")},
		{"4 bytes wanted, 1 are left", program("J", 1)},
		{"a text of 4294967295 bytes", program("X", 255, 255, 255, 255)},
		{"100 bytes wanted", program("X", 100, 0, 0, 0, strings.Repeat("x", 97))},
		{"an integer of 255 bytes", program(opLong1, 255)},
	} {
		_, err := unpickle(c.code)
		assert.ErrorContains(t, err, c.want, "%q", c.code)
	}
	assert.NoFileExists(t, evil)
}

func TestPickleValues(t *testing.T) {
	d, err := unpickle(program(opProto, 2, "}(K", 200, "M", 0, 2, "J", 255, 255, 255, 255, opLong1, 0, opLong1, 1, 128, opLong1, 2, 255, 127,
		"G", 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, opNewFalse, "u."))
	require.NoError(t, err)
	assert.Equal(t, []item{{int64(200), int64(512)}, {int64(-1), int64(0)}, {int64(-128), int64(32767)}, {1.5, false}}, d.items)

	// A dictionary remembered, one pair, two lists, a state that is dropped.
	d, err = unpickle(program(opProto, 2, "}q", 0, "X", 1, 0, 0, 0, "k", "r", 1, 0, 0, 0, "](NNeNas", "h", 0, "j", 1, 0, 0, 0, opNewTrue, "s", "Nb."))
	require.NoError(t, err)
	assert.Equal(t, []item{{"k", list{}}, {"k", true}}, d.items)

	d, err = unpickle(program("}NN", opTuple2, "N", opTuple1, "NNN", opTuple3, opTuple2, "Ns."))
	require.ErrorContains(t, err, "items for a tuple of 2")
	assert.Nil(t, d)
}

// Tuples of tuples that share their parts would print as 2^60 values: no error shows them.
func TestNestedTuples(t *testing.T) {
	var nested any = tuple{"x"}
	for range 60 {
		nested = tuple{nested, nested}
	}
	_, err := rebuildTensor(tensorArgs(6, 0, tuple{nested}, tuple{int64(1)}))
	assert.ErrorContains(t, err, "without storage, offset, shape and strides")
	twice := program("N", opTuple1)
	for range 60 {
		twice = append(twice, program("q", 0, "h", 0, opTuple2)...)
	}
	for _, end := range []string{"Q.", "R.", ".", "NR.", "a.", "s."} {
		_, err := unpickle(append(append([]byte{'}'}, twice...), end...))
		assert.Error(t, err)
	}
}

func tensorArgs(elems, offset int64, shape, strides tuple) tuple {
	return tuple{storage{"F32", "0", elems}, offset, shape, strides}
}

func TestRebuildRefused(t *testing.T) {
	i := func(v ...int64) (out tuple) {
		for _, x := range v {
			out = append(out, x)
		}
		return out
	}
	for _, c := range []struct {
		want string
		args tuple
	}{
		{"", tensorArgs(6, 0, i(2, 3), i(3, 1))},
		{"", tensorArgs(6, 3, i(1, 3), i(99, 1))}, // the stride of one row does not matter
		{"", tensorArgs(6, 6, i(0, 3), i(3, 1))},
		{"", tensorArgs(1, 0, nil, nil)},
		{"in a storage of 6", tensorArgs(6, 1, i(2, 3), i(3, 1))},
		{"in a storage of 6", tensorArgs(6, -1, i(1), i(1))},
		{"in a storage of 6", tensorArgs(6, math.MaxInt64, i(2, 3), i(3, 1))},
		{"in a storage of 6", tensorArgs(6, 7, i(0), i(1))},
		{"row by row", tensorArgs(6, 0, i(2, 3), i(1, 2))},
		{"row by row", tensorArgs(6, 0, i(6), i(0))},
		{"is damaged", tensorArgs(6, 0, i(-1), i(1))},
		{"is damaged", tensorArgs(6, 0, i(1<<40), i(1))},
		{"too large", tensorArgs(6, 0, i(1<<30, 1<<30, 1<<30), i(1<<60, 1<<30, 1))},
		{"is damaged", tensorArgs(6, 0, i(2), i(1, 1))},
		{"is damaged", tensorArgs(6, 0, i(1, 1, 1, 1, 1, 1, 1, 1, 1), i(1, 1, 1, 1, 1, 1, 1, 1, 1))},
		{"is damaged", tensorArgs(6, 0, tuple{"2"}, i(1))},
	} {
		_, err := rebuildTensor(c.args)
		if c.want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, c.want)
		}
	}
}

// Open marks are bounded: each would take eight times the memory of its byte.
func TestManyMarks(t *testing.T) {
	raw := append([]byte{opProto, 2}, bytes.Repeat([]byte{opMark}, 1<<20)...)
	_, err := unpickle(raw)
	assert.ErrorContains(t, err, "more than 1000 marks inside each other")
}
