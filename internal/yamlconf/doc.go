// Package yamlconf reads and prints the configuration of a command: a plain Go struct, filled with its defaults, whose fields a YAML
// file and assignments of the command line change.
//
//	cfg := defaults()                                  // struct { Model string; Optim optim.Config; sft.Config; ... }
//	src, err := yamlconf.Load("sft.yaml", &cfg)        // sft.yaml:7: unknown key "learning_ratee" in optim, did you mean learning_rate?
//	err = src.Set("optim.learning_rate=1e-4")          // the same errors
//	err = src.Missing()                                // required keys that are empty, all at once
//	err = src.Explain(cfg.Validate())                  // sft.yaml:9: batch_size is 0, want at least 1
//
// Explain finds the line by the path of a setting.FieldError. Print and Table show all keys with the comments of their fields.
//
// # Keys
//
// A key is the field's name in snake case: MaxNewTokens is max_new_tokens. A struct is a map; an embedded struct's keys stand among those
// around it. Functions, fields without export and fields tagged json:"-" have no key. The tag conf says more, its words separated by
// commas:
//
//	required     must not be empty
//	place        where the result lies or how a run is watched, not what comes out: left out by JSON
//	input        files or folders that are read: JSON has their names without their folders
//	omit=a b     of a struct: these keys of it, and of structs embedded in it, are left out, because the command sets them itself
//
// # Values
//
// Strings, bools, numbers, lists of these (a single value is a list of one), structs, and types with UnmarshalText. Nothing is converted
// silently: text is no number, 1.5 is no whole number, and null is nothing at all.
package yamlconf
