// Package pretoken cuts a text into the pieces inside of which byte-level BPE merges: the pre-tokenizers of Hugging Face's
// tokenizers. The patterns of GPT-2, SmolLM, Llama 3 and Qwen2 have scanners written by hand. Any other pattern runs through
// a regular expression engine, about twenty times as slow.
//
// Texts must be valid UTF-8.
//
// # Classes of characters
//
// A pattern asks which characters are letters, numbers and white space. That depends on the version of Unicode: the tables here are those of
// tokenizers 0.23 (Unicode 16; its Digits go by Unicode 17), whatever version Go's own unicode package has.
package pretoken
