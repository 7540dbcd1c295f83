package run

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every field of the vocabulary is a part of the data's digest: one that is added and not written
// would let a run resume with other data.
func TestDigestReadsEveryField(t *testing.T) {
	readsEveryField(t, (*Digest).Example)
	readsEveryField(t, (*Digest).Pair)
	readsEveryField(t, (*Digest).Prompt)
}

func readsEveryField[T any](t *testing.T, write func(*Digest, T)) {
	t.Helper()
	sum := func(item T) string {
		d := NewDigest()
		write(d, item)
		return d.Sum()
	}
	var zero T
	seen := map[string]string{sum(zero): "no field"}
	for i := range reflect.TypeFor[T]().NumField() {
		var item T
		field := reflect.TypeFor[T]().Field(i)
		set(t, reflect.ValueOf(&item).Elem().Field(i))
		before, known := seen[sum(item)]
		assert.False(t, known, "%T.%s changes the digest as %s does", item, field.Name, before)
		seen[sum(item)] = field.Name
	}
}

// set gives a field a value that is not zero.
func set(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.CanInt():
		v.SetInt(1)
	case v.CanFloat():
		v.SetFloat(1)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString("x")
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		set(t, v.Index(0))
	default:
		require.Fail(t, "no value for a field", "%v: write it in set", v.Type())
	}
}
