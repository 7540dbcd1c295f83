// Mutate is the mutation check of the repository: it breaks one line of the code at a time and runs
// the tests, which have to notice.
//
//	go run ./internal/mutate                # all lists
//	go run ./internal/mutate sft eval:12    # one list, and the break at line 12 of another
//	go run ./internal/mutate -list          # what there is
//
// The breaks are written by hand, in breaks/NAME.breaks: each is a formula of the paper or of a
// textbook with the mistake that a careless change would make (a sign, a factor, a bound, a missing
// mask). The working tree is never touched: the go command reads the broken file through its
// -overlay flag.
//
// A list has entries separated by empty lines. Lines that begin with # are comments.
//
//	file: pkg/ppo/reward.go
//	- 	if safetyPrompt || s.Safety < Logit(threshold) {
//	+ 	if safetyPrompt {
//	why: an untagged unsafe answer is judged by its safety
//	test: ./pkg/ppo ./pkg/pipeline
//	run: Reward|Rollout
//	survives: reason
//
// What follows "- " is a whole line of the file, tabs included, and occurs there exactly once; what
// follows "+ " replaces it, and a lone "+" removes it. Both are required, as are file and why. Test
// names the packages whose tests run, the file's own if it is left out, and run is given to go test
// as -run. Survives is only for a break that no test can notice, and says why.
//
// The exit status is 1 if a break survives without a reason, if one with a reason does not survive,
// or if more than three survive in all; 2 if a list is wrong: a line that is not in its file, a
// break that does not compile, tests that fail without a break; 130 after Ctrl-C. Go run makes each
// of them 1.
package main
