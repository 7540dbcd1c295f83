// Package corpus looks at training data as the paper does: what of an evaluation set stands in it (contamination, appendix
// A.6, table 51), and whom it speaks of (representation, section 4.1, table 9).
//
// # Contamination
//
// A token of an evaluation sample is contaminated at length L if it is equal in a match of more than L tokens between the
// sample and a training document. A match begins with L_min = 10 equal tokens, ends with an equal one, and may differ in up to
// four places between: the skip budget. The share of contaminated tokens puts a sample among the clean (less than 20 %) or
// not, and among the dirty (80 % or more) or not. L goes from 10 to 50: long matches are hardly put together by chance.
//
// With a model's score x of each sample, the n samples of a part have
//
//	Z = (mean of the part - mean of all) / (sigma / sqrt(n)),
//
// sigma being the standard deviation of x over all samples. Contamination changed the result if |Z| > 2 in all four parts.
//
// # Representation
//
// For each axis (religion, gender pronouns, ...) the share of documents that mention any of its descriptors, and for each
// descriptor the share of those that mention it.
//
// # Use
//
//	c, err := corpus.NewContamination(samples, corpus.DefaultContaminationConfig()) // token ids
//	for _, document := range training {
//		c.Add(document)
//	}
//	for _, length := range []int{10, 20, 30, 40, 50} {
//		parts, err := corpus.Subsets(corpus.DefaultContaminationConfig(), c.Shares(length), scores)
//		fmt.Println(length, parts, corpus.Affected(parts))
//	}
//
//	axes, err := corpus.LoadWordLists("lists.yaml")
//	r, err := corpus.NewRepresentation(axes)
//	r.Add(text)
//	fmt.Println(r.Counts())
//
// # Concurrency
//
// A Contamination and a Representation belong to one goroutine at a time.
//
// # Differences from the paper
//
// The paper puts the training data under suffix arrays (Lee et al. 2022) on 1500 cores. Here the evaluation set is under
// one, and the training data passes by it: the matches are the same, and memory does not grow with the training data.
//
// The paper says "longer than 10" and "minimum match length" of the same number. Here a match is longer than L.
//
// The paper leaves open whether a token that differs inside a match is contaminated. Here it is not: it does not stand in the
// training data.
//
// Z draws samples with replacement: that gives the numbers of table 51.
//
// The paper's word lists (appendix A.4.3 and HolisticBias) are not part of the package.
package corpus
