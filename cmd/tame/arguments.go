package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/internal/yamlconf"
)

// explainArguments makes mistakes in a command line errors that say what was meant: for the command and all below it.
func explainArguments(cmd *cobra.Command) {
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args, cmd.DisableFlagsInUseLine = cobra.ArbitraryArgs, true
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		}
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err != nil && strings.Contains(err.Error(), "arg(s)") { // cobra tells the number alone
				err = fmt.Errorf("got %d arguments, want: %s", len(args), cmd.UseLine())
			}
			return err
		}
	}
	for _, sub := range cmd.Commands() {
		explainArguments(sub)
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	names := each.Of(cmd.Commands(), (*cobra.Command).Name)
	hint := "want one of " + strings.Join(names, ", ")
	if near := yamlconf.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %s %s?", cmd.CommandPath(), near)
	}
	return fmt.Errorf("%s has no command %q: %s", cmd.CommandPath(), name, hint)
}

// explainFlag says which flag was meant.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	name := unknown.GetSpecifiedName()
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	hint := cmd.CommandPath() + " --help lists them"
	if near := yamlconf.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean --%s?", near)
	}
	return fmt.Errorf("unknown flag --%s: %s", name, hint)
}

// explainSetting is explainFlag for a stage: what looks like a flag may be a setting, which set reads.
func explainSetting(set func(assignment string) error) func(*cobra.Command, error) error {
	return func(cmd *cobra.Command, err error) error {
		var unknown *pflag.NotExistError
		if !errors.As(err, &unknown) {
			return err
		}
		name := unknown.GetSpecifiedName()
		value := valueOf(name, os.Args)
		assignment := strings.ReplaceAll(name, "-", "_") + "=" + value
		switch wrong := set(assignment); {
		case wrong == nil || !strings.Contains(wrong.Error(), "unknown key"):
			return fmt.Errorf("--%s is no flag: it is a setting, give it as --set %s", name, shellQuote([]string{assignment}))
		case strings.Contains(wrong.Error(), "did you mean"):
			return fmt.Errorf("--%s is no flag, and no setting: %w", name, wrong)
		}
		return explainFlag(cmd, err)
	}
}

// valueOf is what a command line gives to a flag.
func valueOf(flag string, args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--"+flag+"="); ok {
			return value
		}
		if arg == "--"+flag && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// noArguments is for commands that take flags alone.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	word := shellQuote(args[:1])
	hint := cmd.CommandPath() + " --help lists them"
	switch isYAML := slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(args[0]))); {
	case isYAML && cmd.Flags().Lookup("config") != nil:
		hint = fmt.Sprintf("give the file as --config %s", word)
	case strings.Contains(args[0], "=") && cmd.Flags().Lookup("set") != nil:
		hint = fmt.Sprintf("give a setting as --set %s", word)
	case cmd.HasSubCommands():
		return unknownCommand(cmd, args[0])
	case cmd.GroupID == groupLines:
		hint = "it reads standard input, such as < " + word
	}
	return fmt.Errorf("%s takes flags, and no argument %q: %s", cmd.CommandPath(), args[0], hint)
}
