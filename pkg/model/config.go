package model

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// Config is the shape of a model: see arch.Config.
type Config = arch.Config

// layerName is the name of a layer's weight: layers.3.qkv.
func layerName(layer int, part string) string { return fmt.Sprintf("layers.%d.%s", layer, part) }
