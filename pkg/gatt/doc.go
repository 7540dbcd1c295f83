// Package gatt is Ghost Attention (Touvron et al. 2023, section 3.3 and A.3.5): it makes data that
// teaches a model to follow an instruction, such as "act as napoleon", which was given in the first
// turn of a long dialogue only.
//
// With user messages u_1 ... u_n and an instruction i that holds in all of them:
//
//  1. answers are sampled from the newest model with the instruction in every turn: a_t ~ p( . | i+u_1, a_1, ..., i+u_t ),
//  2. the training example has the instruction, half of the time shortened, in the first turn only: i+u_1, a_1, u_2, a_2, ..., u_n, a_n,
//  3. the loss is that of fine-tuning on the last answer alone, -log p(a_n | i+u_1, a_1, ..., u_n): all earlier turns count nothing, their answers included.
//
// Use:
//
//	talks, err := gatt.Talk(ctx, chat, template, tok, dialogs, cfg) // 1
//	examples, err := gatt.Examples(template, talks, cfg)            // 2 and 3
//	for _, e := range examples {
//		training = append(training, data.Example(e))
//	}
//	report, err := sft.Train(ctx, chat, training, nil, sftConfig)
//	table, _, err := gatt.Evaluate(ctx, chat, template, tok, testDialogs, kept, cfg, 2, 4, 6, 20) // Table 30
//
// Sampled ids are taken into examples as they are. What differs between 1 and 2 are the ids of user
// messages.
//
// # Concurrency
//
// Talk uses all processors; call it from one goroutine per model. The other functions keep no
// state.
//
// # Differences from the paper
//
// Config.EveryTurn, off by default, takes the loss on every answer of a dialogue; the paper takes
// it on the last answer alone ("we set the loss to 0 for all the tokens from the previous turns,
// including assistant messages"). The paper adds the instruction to user messages and calls the
// first one's a system message; here it is at the front of the user's message. A dialogue in which
// an answer does not end is cut off before that turn. Score counts a turn that a dialogue did not
// reach as keeping nothing.
package gatt
