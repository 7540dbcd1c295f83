// Package llamacpp reads and writes Llamas as GGUF files of llama.cpp. The format itself is in
// internal/gguf.
package llamacpp
