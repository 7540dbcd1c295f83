package rewardmodel

import "github.com/tame-rlhf/tame/pkg/setting"

// Names of the choices in configuration files.
var (
	calibrationMethodNames  = []string{CalibrateNone: "none", CalibrateMean: "mean", CalibrateQuantile: "quantile"}
	calibrationAnswersNames = []string{CalibrateAll: "all", CalibrateChosen: "chosen"}
)

// MarshalText is none, mean or quantile.
func (m CalibrationMethod) MarshalText() ([]byte, error) {
	return setting.Name(m, "calibration method", calibrationMethodNames)
}

// UnmarshalText reads what MarshalText writes.
func (m *CalibrationMethod) UnmarshalText(text []byte) error {
	return setting.ParseName(m, "calibration method", text, calibrationMethodNames)
}

// MarshalText is all or chosen.
func (a CalibrationAnswers) MarshalText() ([]byte, error) {
	return setting.Name(a, "choice of answers", calibrationAnswersNames)
}

// UnmarshalText reads what MarshalText writes.
func (a *CalibrationAnswers) UnmarshalText(text []byte) error {
	return setting.ParseName(a, "choice of answers", text, calibrationAnswersNames)
}
