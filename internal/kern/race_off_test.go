//go:build !race

package kern_test

const raceDetector = false
