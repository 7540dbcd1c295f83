package ppo

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the choices in configuration files.
var (
	unfinishedNames = []string{UnfinishedPenalty: "penalty", UnfinishedFixed: "fixed", UnfinishedKeep: "keep"}
	klControlNames  = []string{KLFixed: "fixed", KLAdaptive: "adaptive"}
)

// MarshalText is penalty, fixed or keep.
func (u Unfinished) MarshalText() ([]byte, error) { return marshalName(int(u), unfinishedNames) }

// UnmarshalText reads what MarshalText writes.
func (u *Unfinished) UnmarshalText(text []byte) error {
	i, err := unmarshalName(text, unfinishedNames)
	*u = Unfinished(i)
	return err
}

// MarshalText is fixed or adaptive.
func (k KLControl) MarshalText() ([]byte, error) { return marshalName(int(k), klControlNames) }

// UnmarshalText reads what MarshalText writes.
func (k *KLControl) UnmarshalText(text []byte) error {
	i, err := unmarshalName(text, klControlNames)
	*k = KLControl(i)
	return err
}

func marshalName(i int, names []string) ([]byte, error) {
	if i < 0 || i >= len(names) {
		return nil, fmt.Errorf("ppo: choice %d is none of %s", i, strings.Join(names, ", "))
	}
	return []byte(names[i]), nil
}

func unmarshalName(text []byte, names []string) (int, error) {
	i := slices.Index(names, string(text))
	if i < 0 {
		return 0, fmt.Errorf("ppo: unknown choice %q, want %s", text, strings.Join(names, ", "))
	}
	return i, nil
}
