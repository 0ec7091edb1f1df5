package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func tokenCommand() *cobra.Command {
	var (
		p              plane
		issuer, claims string
	)
	cmd := &cobra.Command{
		Use:   "token --issuer NAME [flags]",
		Short: "sign a token of an issuer outside Entra",
		Example: `  fakeentra token --issuer github --claims '{"sub":"repo:contoso/exporter"}'
  fakeentra token --issuer cluster --claims '{"sub":"s","exp":null}' > jwt`,
		Long: `Prints a token with claims of your choice, right or wrong, that an issuer of a
cloud signs which "fakeentra serve" runs. It can be presented as an assertion to
the token service. Unless spelled, iss is the issuer, aud what Entra expects of
an assertion, and the token is valid for ten minutes. A claim that is null is
left out.`,
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if issuer == "" {
				return usage("pass --issuer with a name under issuers in the scenario", "the name of the issuer is missing")
			}
			parsed := map[string]any{}
			if err := json.Unmarshal([]byte(claims), &parsed); err != nil || parsed == nil {
				return usage(`for instance '{"sub":"repo:contoso/exporter:ref:refs/heads/main"}'`, "--claims is %q, which is not a JSON object", claims)
			}
			client, err := p.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), p.timeout)
			defer cancel()
			raw, err := client.SignToken(ctx, issuer, parsed)
			if err != nil {
				return p.explain(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), raw)
			return err
		},
	}
	p.flags(cmd, time.Minute)
	cmd.Flags().StringVar(&issuer, "issuer", "", "`NAME` of the issuer")
	cmd.Flags().StringVar(&claims, "claims", "{}", "`JSON` object of claims")
	return cmd
}
