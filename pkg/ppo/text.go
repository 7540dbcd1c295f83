package ppo

import "github.com/tame-rlhf/tame/pkg/setting"

// Names of the choices in configuration files.
var (
	unfinishedNames = []string{UnfinishedPenalty: "penalty", UnfinishedFixed: "fixed", UnfinishedKeep: "keep"}
	klControlNames  = []string{KLFixed: "fixed", KLAdaptive: "adaptive"}
)

// MarshalText is penalty, fixed or keep.
func (u Unfinished) MarshalText() ([]byte, error) { return setting.Name(u, "choice", unfinishedNames) }

// UnmarshalText reads what MarshalText writes.
func (u *Unfinished) UnmarshalText(text []byte) error {
	return setting.ParseName(u, "choice", text, unfinishedNames)
}

// MarshalText is fixed or adaptive.
func (k KLControl) MarshalText() ([]byte, error) { return setting.Name(k, "choice", klControlNames) }

// UnmarshalText reads what MarshalText writes.
func (k *KLControl) UnmarshalText(text []byte) error {
	return setting.ParseName(k, "choice", text, klControlNames)
}
