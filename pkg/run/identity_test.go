package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

type optimConfig struct{ LearningRate float64 }

type testConfig struct {
	Optim optimConfig
	Steps int
	Names []string
	OnEnd func() `json:"-"`
}

// weights are a model whose bytes are known.
type weights string

func (w weights) WriteWeights(to io.Writer) error {
	if w == "" {
		return errors.New("no weights")
	}
	_, err := io.WriteString(to, string(w))
	return err
}

func identity(t *testing.T, cfg testConfig, ids []int32, start ...Weights) Identity {
	t.Helper()
	id, err := NewIdentity(context.Background(), "sft", cfg, func(d *Digest) { d.Tokens(ids) }, start...)
	require.NoError(t, err)
	return id
}

func TestIdentity(t *testing.T) {
	id := identity(t, testConfig{Steps: 3}, []int32{1, -2}, weights("ab"), Named("critic", weights("c")))
	assert.JSONEq(t, `{"Optim": {"LearningRate": 0}, "Steps": 3, "Names": null}`, string(id.Config))
	// By hand: the kind, the length as 8 bytes, then 4 bytes for each id, the lowest first.
	sum := sha256.Sum256([]byte("t\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\xfe\xff\xff\xff"))
	start, critic := sha256.Sum256([]byte("ab")), sha256.Sum256([]byte("c"))
	assert.Equal(t, []data.Input{
		{Name: "data", Fingerprint: "sha256:" + hex.EncodeToString(sum[:])},
		{Name: "start weights", Fingerprint: "sha256:" + hex.EncodeToString(start[:])},
		{Name: "start weights of critic", Fingerprint: "sha256:" + hex.EncodeToString(critic[:])},
	}, id.Inputs)
	assert.Len(t, identity(t, testConfig{}, nil).Inputs, 1, "no weights, no fingerprint of them")

	_, err := NewIdentity(context.Background(), "sft", testConfig{}, func(*Digest) {}, weights(""))
	assert.ErrorContains(t, err, "identity of sft: weights: no weights")
	_, err = NewIdentity(context.Background(), "sft", func() {}, func(*Digest) {})
	assert.ErrorContains(t, err, "identity of sft: config")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = NewIdentity(ctx, "sft", testConfig{}, func(*Digest) {}, weights("a"))
	assert.ErrorIs(t, err, context.Canceled, "hashing ends with the context")
}

// Each part of the data is compared on its own, and their numbers of items are told.
func TestPartsOfData(t *testing.T) {
	of := func(train, heldOut []string) Identity {
		id, err := NewIdentity(t.Context(), "sft", testConfig{}, func(d *Digest) {
			Items((*Digest).Text, train)(d)
			d.Part("held-out data")
			Items((*Digest).Text, heldOut)(d)
		})
		require.NoError(t, err)
		return id
	}
	before := of([]string{"a", "b"}, []string{"c"})
	assert.Empty(t, before.Differences(of([]string{"a", "b"}, []string{"c"})))
	assert.Equal(t, []string{"it read other content of data, 2 items then and 3 now"}, before.Differences(of([]string{"a", "b", "d"}, []string{"c"})))
	assert.Equal(t, []string{"it read other content of held-out data, 1 items then and now"}, before.Differences(of([]string{"a", "b"}, []string{"d"})))
	id, err := NewIdentity(t.Context(), "ppo", testConfig{}, func(d *Digest) { d.Part("prompts"); d.Int(1) })
	require.NoError(t, err)
	require.Len(t, id.Inputs, 1, "nothing was written before the first part")
	assert.Equal(t, "prompts", id.Inputs[0].Name)
}

func TestCheck(t *testing.T) {
	id := identity(t, testConfig{Optim: optimConfig{0.1}, Steps: 3}, []int32{1}, weights("a"))
	stored := func(change func(*Identity)) error {
		raw, err := json.MarshalIndent(id, "", "  ") // as a file has it
		require.NoError(t, err)
		var before Identity
		require.NoError(t, json.Unmarshal(raw, &before))
		change(&before)
		return Check("dir", before, id)
	}
	require.NoError(t, stored(func(*Identity) {}))
	for want, change := range map[string]func(*Identity){
		`dir belongs to another run (it does not say of which)`:                        func(i *Identity) { *i = Identity{} },
		`(of stage "ppo", this is "sft")`:                                              func(i *Identity) { i.Stage = "ppo" },
		`(config field optim.learning_rate was 0.2 and is 0.1)`:                        func(i *Identity) { i.Config = json.RawMessage(`{"Optim":{"LearningRate":0.2},"Steps":3,"Names":null}`) },
		`(config field optim was null and is {"LearningRate":0.1}, config field steps`: func(i *Identity) { i.Config = json.RawMessage(`{"Optim":null,"Names":null}`) },
		`(config field steps was not there and is 3)`:                                  func(i *Identity) { i.Config = json.RawMessage(`{"Optim":{"LearningRate":0.1},"Names":null}`) },
		`(config field old was [1,2] and is not there)`: func(i *Identity) {
			i.Config = json.RawMessage(`{"Optim":{"LearningRate":0.1},"Steps":3,"Names":null,"old":[1, 2]}`)
		},
		`(config field names was ["` + strings.Repeat("x", 58) + `... and is null)`: func(i *Identity) {
			i.Config = json.RawMessage(`{"Optim":{"LearningRate":0.1},"Steps":3,"Names":["` + strings.Repeat("x", 90) + `"]}`)
		},
		`(the config was 7 and is {`:          func(i *Identity) { i.Config = json.RawMessage(`7`) },
		`(seed was 9 and is 0)`:               func(i *Identity) { i.Seed = 9 },
		`(it read other content of data)`:     func(i *Identity) { i.Inputs[0].Fingerprint = "x" },
		`(it did not read start weights)`:     func(i *Identity) { i.Inputs = i.Inputs[:1] },
		`(it read more): start with the same`: func(i *Identity) { i.Inputs = append(i.Inputs, data.Input{Name: "more"}) },
	} {
		err := stored(change)
		assert.ErrorIs(t, err, ErrOtherRun)
		assert.ErrorContains(t, err, want)
	}
}

// Each field of what stages train on changes the digest.
func TestDigestSeesEveryField(t *testing.T) {
	var zero []string
	for _, write := range []func(*Digest){
		func(d *Digest) { d.Example(data.Example{}) }, func(d *Digest) { d.Pair(data.Pair{}) }, func(d *Digest) { d.Prompt(data.TokenPrompt{}) },
	} {
		d := NewDigest()
		write(d)
		zero = append(zero, d.Sum())
	}
	for i, item := range []any{&data.Example{}, &data.Pair{}, &data.TokenPrompt{}} {
		fields := reflect.ValueOf(item).Elem()
		for f := range fields.NumField() {
			switch field := fields.Field(f); field.Kind() {
			case reflect.Slice:
				field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			case reflect.Int:
				field.SetInt(1)
			case reflect.Bool:
				field.SetBool(true)
			case reflect.String:
				field.SetString("x")
			default:
				t.Fatalf("a field of kind %v", field.Kind())
			}
			d := NewDigest()
			switch item := item.(type) {
			case *data.Example:
				d.Example(*item)
			case *data.Pair:
				d.Pair(*item)
			case *data.TokenPrompt:
				d.Prompt(*item)
			}
			assert.NotEqual(t, zero[i], d.Sum(), fields.Type().Field(f).Name)
			fields.Field(f).SetZero()
		}
	}
}

// Items are told apart however they are cut, and whatever the buffer's limit falls on.
func TestDigestBorders(t *testing.T) {
	sum := func(write func(*Digest)) string {
		d := NewDigest()
		write(d)
		return d.Sum()
	}
	seen := map[string]int{}
	long := make([]int32, digestBuffer)
	for i, write := range []func(*Digest){
		func(d *Digest) { d.Tokens([]int32{1, 2}) },
		func(d *Digest) { d.Tokens([]int32{1}); d.Tokens([]int32{2}) },
		func(d *Digest) { d.Int(1); d.Int(2) },
		func(d *Digest) { d.Bool(true); d.Bool(false) },
		func(d *Digest) { d.Int(1); d.Int(0) },
		func(d *Digest) { d.Text("ab"); d.Text("") },
		func(d *Digest) { d.Text("a"); d.Text("b") },
		func(d *Digest) { d.Numbers([]float32{1, 2}) },
		func(d *Digest) { d.Tokens(long) },
		func(d *Digest) { d.Tokens(long[:len(long)-1]) },
		func(d *Digest) { d.Text(strings.Repeat("\x00", 4*len(long))) },
	} {
		_, twice := seen[sum(write)]
		assert.False(t, twice, i)
		seen[sum(write)] = i
	}
	// A long text has the hash of its bytes, in whatever pieces they are hashed.
	text := strings.Repeat("tame", digestBuffer)
	whole := sha256.Sum256(append([]byte("s\x00\x80\x00\x00\x00\x00\x00\x00"), text...))
	assert.Equal(t, "sha256:"+hex.EncodeToString(whole[:]), sum(func(d *Digest) { d.Text(text) }))
}

// The memory for an identity does not grow with the data.
func TestIdentityAllocatesNothingThatGrows(t *testing.T) {
	measure := func(n int) uint64 {
		examples := make([]data.Example, n)
		for i := range examples {
			examples[i] = data.Example{Tokens: make([]int32, 100), Weights: make([]float32, 100)}
		}
		prompt := data.TokenPrompt{ID: strings.Repeat("x", n), Tokens: make([]int32, n)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewIdentity(context.Background(), "sft", testConfig{}, func(d *Digest) {
			for _, e := range examples {
				d.Example(e)
				d.Pair(data.Pair{Prompt: e.Tokens, Chosen: e.Tokens})
			}
			d.Prompt(prompt)
		}, weights("a"))
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		return after.TotalAlloc - before.TotalAlloc
	}
	measure(1)
	small, large := measure(500), measure(5000) // 1.6 and 16 MB of tokens and weights
	assert.Less(t, large, uint64(64<<10))
	assert.InDelta(t, small, large, 16<<10)
}

// Inputs are compared by name: a swap is told as one.
func TestInputDifferences(t *testing.T) {
	a, b, c := data.Input{Name: "a", Fingerprint: "1"}, data.Input{Name: "b", Fingerprint: "2"}, data.Input{Name: "c", Fingerprint: "3"}
	otherA := data.Input{Name: "a", Fingerprint: "4"}
	differences := func(was, is []data.Input) []string {
		return Identity{Stage: "sft", Inputs: was}.Differences(Identity{Stage: "sft", Inputs: is})
	}
	assert.Empty(t, differences([]data.Input{a, b}, []data.Input{a, b}))
	assert.Equal(t, []string{"it read the same inputs in another order"}, differences([]data.Input{a, b}, []data.Input{b, a}))
	assert.Equal(t, []string{"it read the same inputs in another order"}, differences([]data.Input{a, otherA}, []data.Input{otherA, a}))
	assert.Equal(t, []string{"it did not read c", "it read b"}, differences([]data.Input{a, b}, []data.Input{c, a}))
	assert.Equal(t, []string{"it read other content of a"}, differences([]data.Input{a, b}, []data.Input{b, otherA}))
}

// A setting that the version before did not have is no difference as long as it is off.
func TestNewSettings(t *testing.T) {
	differences := func(was, is string) []string {
		return Identity{Stage: "sft", Config: json.RawMessage(was)}.Differences(Identity{Stage: "sft", Config: json.RawMessage(is)})
	}
	for _, off := range []string{`0`, `0.0`, `false`, `null`, `[]`, `""`, `{}`, `{"b":0,"c":[]}`} {
		assert.Empty(t, differences(`{"x":1}`, `{"x":1,"a":`+off+`}`), off)
		assert.Len(t, differences(`{"x":1,"a":`+off+`}`, `{"x":1}`), 1, off+": the other way round")
	}
	for _, on := range []string{`1`, `true`, `[0]`, `"0"`, `{"b":0,"c":2}`} {
		assert.Len(t, differences(`{"x":1}`, `{"x":1,"a":`+on+`}`), 1, on)
	}
	assert.Equal(t, []string{"config field x was 1 and is 0"}, differences(`{"x":1}`, `{"x":0}`))
}
