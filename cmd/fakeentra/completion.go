package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that completion knows.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "print a script that completes commands and flags",
		Example: `  source <(fakeentra completion bash)
  fakeentra completion zsh > "${fpath[1]}/_fakeentra"
  fakeentra completion fish | source
  fakeentra completion powershell | Out-String | Invoke-Expression`,
		Long:                  "Prints a script that makes a shell (bash, zsh, fish or powershell) complete\ncommands, flags, scenarios and hosts.",
		DisableFlagsInUseLine: true,
		ValidArgs:             shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("one of "+strings.Join(shells, ", "), "completion takes the name of one shell")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usage("one of "+strings.Join(shells, ", "), "there is no completion for %q", args[0])
		},
	}
}
