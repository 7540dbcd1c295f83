package rewardmodel

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the choices in configuration files.
var (
	calibrationMethodNames  = []string{CalibrateNone: "none", CalibrateMean: "mean", CalibrateQuantile: "quantile"}
	calibrationAnswersNames = []string{CalibrateAll: "all", CalibrateChosen: "chosen"}
)

// MarshalText is none, mean or quantile.
func (m CalibrationMethod) MarshalText() ([]byte, error) {
	return marshalName(int(m), calibrationMethodNames)
}

// UnmarshalText reads what MarshalText writes.
func (m *CalibrationMethod) UnmarshalText(text []byte) error {
	i, err := unmarshalName("calibration method", text, calibrationMethodNames)
	*m = CalibrationMethod(i)
	return err
}

// MarshalText is all or chosen.
func (a CalibrationAnswers) MarshalText() ([]byte, error) {
	return marshalName(int(a), calibrationAnswersNames)
}

// UnmarshalText reads what MarshalText writes.
func (a *CalibrationAnswers) UnmarshalText(text []byte) error {
	i, err := unmarshalName("choice of answers", text, calibrationAnswersNames)
	*a = CalibrationAnswers(i)
	return err
}

func marshalName(i int, names []string) ([]byte, error) {
	if i < 0 || i >= len(names) {
		return nil, fmt.Errorf("rewardmodel: choice %d is none of %s", i, strings.Join(names, ", "))
	}
	return []byte(names[i]), nil
}

func unmarshalName(kind string, text []byte, names []string) (int, error) {
	i := slices.Index(names, string(text))
	if i < 0 {
		return 0, fmt.Errorf("rewardmodel: unknown %s %q, want %s", kind, text, strings.Join(names, ", "))
	}
	return i, nil
}
