package train

import (
	"fmt"
	"strconv"
	"strings"
)

// LRFactor multiplies the learning rate of a group of weights. Its text form is "PATTERN=FACTOR".
type LRFactor struct {
	// Pattern is matched against the names of the weights by path.Match: * matches any text.
	Pattern string
	// Factor of at least 0. With 0 the weights stay as they are but have moments; see Frozen.
	Factor float64
}

// String is PATTERN=FACTOR.
func (f LRFactor) String() string {
	return f.Pattern + "=" + strconv.FormatFloat(f.Factor, 'g', -1, 64)
}

// MarshalText is PATTERN=FACTOR.
func (f LRFactor) MarshalText() ([]byte, error) {
	return []byte(f.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (f *LRFactor) UnmarshalText(text []byte) error {
	pattern, number, _ := strings.Cut(string(text), "=")
	factor, err := strconv.ParseFloat(number, 64)
	if err != nil || !validPattern(pattern) {
		return fmt.Errorf("train: %q is not a learning rate factor, want PATTERN=FACTOR, such as embed=0.1", text)
	}
	f.Pattern, f.Factor = pattern, factor
	return nil
}
