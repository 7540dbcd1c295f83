// Package setting reports settings that make no sense, for programs as well as for people: an error
// names the field by its path, so that a configuration file's reader can find the line that set it.
//
//	func (c Config) Validate() error {
//		check := setting.NewChecks("sft: Config")
//		check.That(c.BatchSize >= 1, "BatchSize", c.BatchSize, "at least 1")
//		check.Nested("Optim", c.Optim.Validate())
//		return check.Err()
//	}
//
// Fields lists all FieldErrors of an error.
package setting
