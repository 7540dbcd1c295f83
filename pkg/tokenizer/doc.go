// Package tokenizer turns text into token ids and back as SentencePiece and Hugging Face's tokenizers do, and trains
// byte-pair encodings.
//
// Llama 2 (section 2.2 of the paper) uses a SentencePiece BPE of 32,000 pieces: every digit is its own piece and
// characters outside the vocabulary become UTF-8 bytes. Llama 3, Qwen, SmolLM and GPT-2 use byte-level BPE. This package
// reads and writes the .model files of SentencePiece, the tokenizer.json files of both kinds and the vocabularies of GGUF
// files, and reads vocab.json with merges.txt and the tokenizer.bin files of llama2.c. The ids are those of the programs that
// the formats come from.
//
// How text becomes ids with SentencePiece:
//
//  1. The text is normalised: invalid UTF-8 becomes U+FFFD (one for each byte), rules of the model apply, spaces become
//     U+2581 ("▁") and one more goes in front (the dummy prefix).
//  2. The result is cut into characters; user-defined pieces are cut out first, the longest at each place.
//  3. The neighbours whose concatenation is the piece of highest score are merged, the leftmost first on a tie, until
//     no concatenation is a piece (Sennrich et al., 2016, arXiv 1508.07909). User-defined pieces never merge.
//  4. What is not in the vocabulary becomes byte pieces, or the unknown piece where a model has no byte pieces.
//
// A use from training to text:
//
//	cfg := tokenizer.DefaultTrainConfig()
//	cfg.VocabSize = 4096
//	tok, err := tokenizer.Train(ctx, slices.Values(texts), cfg)
//	if err != nil {
//		return err
//	}
//	if err := tok.Save("tokenizer.model"); err != nil {
//		return err
//	}
//	ids := append([]int32{tok.BOS()}, tok.Encode("Hello world")...)
//	text, err := tok.Decode(ids) // "Hello world"
//
// # Byte-level BPE
//
// A pattern cuts text into words, numbers, punctuation and white space; inside of each such piece the bytes of UTF-8 merge, in the order of the
// file's list of pairs (Radford et al., 2019, "Language Models are Unsupervised Multitask Learners", section 2.2). In the vocabulary a byte is
// written as a printable character: a space is "Ġ". The patterns of GPT-2, SmolLM, Llama 3 and Qwen2 have scanners written by hand; others
// run through a regular expression engine, at about a twentieth of the speed. Constructs that mean something else in that engine are
// refused by name.
//
// A vocabulary may lack bytes that its training text did not have (SmolLM2's lacks 21). Text that has them loses them, as in
// tokenizers and llama.cpp.
//
// # Unigram models
//
// SentencePiece's other kind of model has a probability for each piece, and the text is cut so that their product is
// highest (Kudo, 2018, arXiv 1804.10959). Such models are read, written and used; [Train] and [TrainByteLevel] make BPE only.
//
// # tokenizer.json
//
// A tokenizer.json has the pairs that merge, in their order, in place of scores; tokens that are cut out of the text
// first; and a normaliser, or a pre-tokeniser called Metaspace, that marks the spaces. [Load] takes all
// that as the file says. [Tokenizer.WriteModel] writes it as a .model if that gives the same ids,
// [Tokenizer.SaveHuggingFace] the other way round, [Tokenizer.SaveFolder] whichever holds the tokenizer. Byte-level BPE is
// always a tokenizer.json, or the vocabulary of a GGUF file.
//
// # Concurrency
//
// A Tokenizer never changes after it was made: all its methods may be called at the same time. A [Stream] belongs to one
// goroutine.
//
// # Differences from SentencePiece
//
//   - Word and char models, white space as a suffix and denormalisers are refused.
//   - [Tokenizer.Encode] never returns control pieces. SentencePiece does so where a control piece is a single character.
//   - [Train] never leaves out long lines and never adds pieces that do not occur: a vocabulary size that the text cannot
//     fill is an error. Apart from that its merges are those of SentencePiece's trainer with the identity normaliser.
//   - Of a text with more words than memory has room for, [Train] forgets rare ones (TrainConfig.MaxWords), where
//     SentencePiece takes a sample of the lines.
//
// # Differences from Hugging Face's tokenizers
//
//   - [Tokenizer.Encode] never takes text for special tokens; [Tokenizer.EncodeSpecial] does.
//   - [Tokenizer.Decode] leaves special tokens out, and an id outside of the vocabulary is an error.
//   - No BOS is put in front of text, and nothing is truncated or padded, whatever the file says. [Tokenizer.AddsBOS] says what it says.
//   - A merge that makes a control token is left out, and so is an unknown token that is BOS, EOS or PAD too: no text gives these.
//   - Categories of Unicode in patterns other than letters and numbers are those of Go's version of Unicode. NFC and NFD are of its version
//     too; of the characters that have been there for ten years all are the same.
//
// # Differences from the paper
//
// The paper does not say how the vocabulary was trained beyond BPE, digits and bytes. The defaults of [TrainConfig]
// follow the settings stored in Llama's own tokenizer.model, except for full character coverage and the chat markers,
// which are pieces of their own here.
package tokenizer
