// Package hf reads and writes folders in the layout of Hugging Face: config.json, and safetensors in
// one file or in shards. Further weights, which no Llama has, are in a file of their own.
package hf
