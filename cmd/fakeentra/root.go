package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
)

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "fakeentra COMMAND",
		Example: `  fakeentra run -- go test ./...
  fakeentra serve --scenario msi-fic-blob`,
		Long: `An offline stand-in for Microsoft Entra workload identity federation: the
managed identity endpoint of a host, the token endpoint of a tenant, and Blob
storage that honours the tokens. Nothing leaves this machine. Its keys protect
nothing: do not expose it to a network that you do not own.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 1,
		SilenceUsage:               true,
		DisableFlagsInUseLine:      true,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { cmd.Print(help(cmd)) })
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(demoCommand(), serveCommand(), runCommand(), checkCommand(), conformCommand(), journalCommand(), healthCommand(), tokenCommand(), envCommand(), doctorCommand(), versionCommand(), completionCommand())
	return root
}

// execute runs the program and returns its exit code.
func execute(args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	return report(os.Stderr, cmd, err)
}

// unknownCommand refuses a word that is no command of cmd.
func unknownCommand(cmd *cobra.Command, word string) error {
	hint := cmd.CommandPath() + " --help lists the commands"
	if like := cmd.SuggestionsFor(word); len(like) > 0 {
		hint = "did you mean " + strings.Join(like, " or ") + "?"
	}
	return usage(hint, "there is no command %q", word)
}

// flagError refuses flags. A command that does not exist has none, so that is
// said instead.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); !cmd.HasParent() && len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	hint := cmd.CommandPath() + " --help lists the flags"
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		expected := valuesOf[wrong.GetFlag().Value.Type()]
		return usage(hint, "--%s is %q; expected %s", wrong.GetFlag().Name, wrong.GetValue(), expected)
	}
	return usage(hint, "%v", err)
}

// valuesOf are the values that the types of flags have.
var valuesOf = map[string]string{
	"bool":        "true or false",
	"duration":    "a duration, such as 5s",
	"float64":     "a number, such as 1.5",
	"int":         "a number",
	"intSlice":    "port numbers, such as 5432,8080",
	"shard":       fmt.Sprintf("which part of how many, such as 2/5, and %d at most", conformreport.MaxShards),
	"stringSlice": "values with commas between them, of which one with a comma or a quotation mark is in such marks itself, as in CSV",
}

// noArguments refuses words that are not flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(cmd.CommandPath()+" --help lists the flags", "%s takes no arguments, but there is %q", cmd.Name(), args[0])
}
