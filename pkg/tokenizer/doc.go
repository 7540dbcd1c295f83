// Package tokenizer turns text into token ids and back as SentencePiece and Hugging Face's tokenizers do, and trains
// byte-pair encodings.
//
// Llama 2 (section 2.2 of the paper) uses a SentencePiece BPE of 32,000 pieces: every digit is its own piece and
// characters outside the vocabulary become UTF-8 bytes. This package reads and writes the .model files of
// SentencePiece and the tokenizer.json files of Llama's kind, and reads the tokenizer.bin files of llama2.c and the
// vocabularies of GGUF files. The ids are those of the programs that the formats come from.
//
// How text becomes ids:
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
// # Unigram models
//
// SentencePiece's other kind of model has a probability for each piece, and the text is cut so that their product is
// highest (Kudo, 2018, arXiv 1804.10959). Such models are read, written and used; [Train] makes BPE only.
//
// # tokenizer.json
//
// A tokenizer.json has the pairs that merge, in their order, in place of scores; tokens that are cut out of the text
// first; and a normaliser, or a pre-tokeniser called Metaspace, that marks the spaces. [Load] takes all
// that as the file says. [Tokenizer.WriteModel] writes it as a .model if that gives the same ids,
// [Tokenizer.SaveHuggingFace] the other way round, [Tokenizer.SaveFolder] whichever holds the tokenizer.
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
//   - No BOS is put in front of text, and nothing is truncated or padded, whatever the file says.
//
// # Differences from the paper
//
// The paper does not say how the vocabulary was trained beyond BPE, digits and bytes. The defaults of [TrainConfig]
// follow the settings stored in Llama's own tokenizer.model, except for full character coverage and the chat markers,
// which are pieces of their own here.
package tokenizer
