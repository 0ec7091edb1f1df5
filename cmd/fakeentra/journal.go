package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fakeentra/fakeentra/emulator/control"
	"github.com/fakeentra/fakeentra/emulator/journal"
)

func journalCommand() *cobra.Command {
	var (
		p      plane
		f      control.Filter
		ops    []string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "journal [flags]",
		Short: "show what a running cloud was asked, and why it answered so",
		Example: `  fakeentra journal --refused
  fakeentra journal --control http://127.0.0.1:8090 --op sts.token --json`,
		Long: `Shows what was asked of a cloud that "fakeentra serve" runs, one line for each
request: its number, the operation, the status of the answer, the host that
asked, and why it was refused. Tokens and secrets are left out.`,
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.client()
			if err != nil {
				return err
			}
			for _, op := range ops {
				f.Ops = append(f.Ops, journal.Op(op))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), p.timeout)
			defer cancel()
			log, err := client.Journal(ctx, f)
			if err != nil {
				return p.explain(err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), jsonLog(log))
			}
			if len(log.Entries) == 0 {
				sayWhyEmpty(ctx, cmd.ErrOrStderr(), client, f)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), log.String())
			return err
		},
	}
	p.flags(cmd, time.Minute)
	flags := cmd.Flags()
	flags.StringArrayVar(&ops, "op", nil, "show this `OPERATION` only, such as sts.token; may be repeated")
	flags.StringVar(&f.Host, "host", "", "show requests from the host `NAME` only")
	flags.BoolVar(&f.Refused, "refused", false, "show refusals only")
	flags.BoolVar(&asJSON, "json", false, "print whole requests and answers as JSON")
	return cmd
}

// sayWhyEmpty tells a cloud that was asked nothing from a filter that lets
// nothing pass, perhaps by a slip of the keyboard.
func sayWhyEmpty(ctx context.Context, w io.Writer, client *control.Client, f control.Filter) {
	info, err := client.Info(ctx)
	var hosts []string
	for _, h := range info.Hosts {
		hosts = append(hosts, h.Name)
	}
	switch {
	case err != nil: // what was shown is true all the same
	case f.Host != "" && !slices.Contains(hosts, f.Host):
		complain(w, &failure{0, fmt.Sprintf("the cloud has no host %q", f.Host), "it has " + cmp.Or(strings.Join(hosts, ", "), "none")})
	case info.Requests == 0:
		complain(w, &failure{0, "the cloud was asked nothing yet", ""})
	default:
		complain(w, &failure{0, "the cloud was asked something, but nothing that fits", "fakeentra journal without flags shows all"})
	}
}

// jsonLog has the form that the control plane gives to a log.
func jsonLog(log journal.Log) any {
	type dropped struct {
		Entries int `json:"entries"`
		Bytes   int `json:"bytes"` // estimated
	}
	return struct {
		Entries []journal.Entry `json:"entries"`
		Dropped dropped         `json:"dropped"`
	}{log.Entries, dropped(log.Dropped)}
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
