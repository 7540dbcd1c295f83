package rewardmodel

import "github.com/tame-rlhf/tame/internal/enum"

// Names of the choices in configuration files.
var (
	calibrationMethodNames  = []string{CalibrateNone: "none", CalibrateMean: "mean", CalibrateQuantile: "quantile"}
	calibrationAnswersNames = []string{CalibrateAll: "all", CalibrateChosen: "chosen"}
)

// MarshalText is none, mean or quantile.
func (m CalibrationMethod) MarshalText() ([]byte, error) {
	return enum.Marshal("calibration method", m, calibrationMethodNames)
}

// UnmarshalText reads what MarshalText writes.
func (m *CalibrationMethod) UnmarshalText(text []byte) error {
	return enum.Unmarshal("calibration method", text, m, calibrationMethodNames)
}

// MarshalText is all or chosen.
func (a CalibrationAnswers) MarshalText() ([]byte, error) {
	return enum.Marshal("choice of answers", a, calibrationAnswersNames)
}

// UnmarshalText reads what MarshalText writes.
func (a *CalibrationAnswers) UnmarshalText(text []byte) error {
	return enum.Unmarshal("choice of answers", text, a, calibrationAnswersNames)
}
