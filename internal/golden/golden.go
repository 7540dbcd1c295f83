// Package golden reads the golden values that PyTorch wrote: tiny Llamas with their log-probabilities, gradients and
// AdamW traces, and the values of the losses. See testdata/README.md.
package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Dir is the folder of the golden values.
func Dir(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("golden: no source path")
	}
	return filepath.Join(filepath.Dir(file), "testdata")
}

// SharedDir is the folder of public data sets beside the checkout. Tests that need it are skipped where it is missing.
func SharedDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(Dir(t), "..", "..", "..", "..", "shared", "data")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no public data sets beside the checkout")
	}
	return dir
}

// JSON reads the file of that name below Dir into v.
func JSON(t testing.TB, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(Dir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("golden: %s: %v", name, err)
	}
}
