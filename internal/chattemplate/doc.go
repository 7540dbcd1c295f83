// Package chattemplate renders the chat templates of model folders as transformers' apply_chat_template does.
//
//	t, err := chattemplate.Compile(source)
//	text, answers, err := t.Render([]chattemplate.Message{{Role: "user", Content: "Hello"}}, vars, true)
//
// A template is a program in Jinja's language. github.com/ardanlabs/jinja runs it; this package adds what transformers adds to Jinja:
//
//   - white space is kept and dropped as Jinja does with trim_blocks and lstrip_blocks;
//   - {% generation %} and {% endgeneration %} mark the answers to learn from;
//   - tools and documents are none.
//
// strftime_now is not defined, because a run has to give the same bytes tomorrow: templates that ask whether it is defined take
// the date that they have in its place, others are an error.
//
// # Bounds
//
// A template comes with somebody's model, so it may be broken or hostile. Its text has at most [MaxSource] bytes, a rendering at most
// [maxSteps] rounds of its loops and calls of its macros, and macros call each other at most [maxDepth] deep. It reads no file and runs no program.
package chattemplate
