package ppo

import "github.com/tame-rlhf/tame/internal/enum"

// Names of the choices in configuration files.
var (
	unfinishedNames = []string{UnfinishedPenalty: "penalty", UnfinishedFixed: "fixed", UnfinishedKeep: "keep"}
	klControlNames  = []string{KLFixed: "fixed", KLAdaptive: "adaptive"}
)

// MarshalText is penalty, fixed or keep.
func (u Unfinished) MarshalText() ([]byte, error) { return enum.Marshal("choice", u, unfinishedNames) }

// UnmarshalText reads what MarshalText writes.
func (u *Unfinished) UnmarshalText(text []byte) error {
	return enum.Unmarshal("choice", text, u, unfinishedNames)
}

// MarshalText is fixed or adaptive.
func (k KLControl) MarshalText() ([]byte, error) { return enum.Marshal("choice", k, klControlNames) }

// UnmarshalText reads what MarshalText writes.
func (k *KLControl) UnmarshalText(text []byte) error {
	return enum.Unmarshal("choice", text, k, klControlNames)
}
