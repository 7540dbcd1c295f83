package model

import "testing"

func TestZZ(t *testing.T) {
	cfg := familyConfigs()["qwen3"]
	cfg.HeadDim = 128
	p := formulaParams(t, cfg, false)
	if err := SaveGGUF("/tmp/fam_dbg/m.gguf", p, F32, nil); err != nil {
		t.Fatal(err)
	}
}
