package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

// follows finds out whether a driver goes where its configuration and environment lead
// it, where nothing else does: one that does not would be said to fail every check.
func (r *runner) follows(ctx context.Context) error {
	if w := r.target.Wiring(); w != Explicit && w != Attach {
		return nil
	}
	for _, k := range fromAnySource(nil) {
		c := &Check{ID: "ENDPOINTS", Needs: k.Needs}
		if slices.ContainsFunc(k.Needs, func(need driver.Capability) bool { return !slices.Contains(r.hello.Capabilities, need) }) ||
			slices.Contains(k.Needs, driver.Arc) || r.target.Wiring() == Attach && !slices.Contains(k.Needs, driver.IMDS) {
			continue
		}
		return r.followsFrom(ctx, c, k)
	}
	return nil // it has no source that leads it to anything, and its checks are skipped
}

// followsFrom has a driver do one exchange.
func (r *runner) followsFrom(ctx context.Context, c *Check, k Case) error {
	fixture := lab.Fixture{Seed: r.Seed + "/" + c.ID}
	k.Fixture(&fixture)
	l, err := lab.New(fixture)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.scaled(limits[Fast]))
	defer cancel()
	s := r.session(ctx, l, c, k)
	var got Got
	var missing []string
	k.Run = func(s *Session) {
		got = s.UpTo(usualPatience, s.Token)
		missing = s.unvisited()
	}
	end := s.play(k)
	if err := l.Close(); err != nil {
		return err
	}
	switch {
	case end != nil && end.verdict != Timeout:
		return errors.New(end.why)
	case len(missing) == 0 && end == nil:
		return nil
	}
	text := fmt.Sprintf("the driver does not go where config.endpoints leads it: asked for a token, it sent no request to %s", strings.Join(missing, ", nor to "))
	if end != nil {
		text = "the driver does not go where config.endpoints leads it: " + end.why
	}
	var strays []string
	for _, leak := range s.Leaks() {
		_, host, _ := strings.Cut(leak, " ")
		strays = append(strays, host)
	}
	slices.Sort(strays)
	if strays = slices.Compact(strays); len(strays) > 0 {
		text += ", but asked for " + strings.Join(strays, " and ")
	}
	if message := got.Message(); message != "" {
		text += fmt.Sprintf(" (it answered with the error %q)", s.hide(strings.ReplaceAll(shorten(message, 300), "; ", ", ")))
	}
	return errors.New(text + "; have it use authority, imds and ca_file of config.endpoints where their mode is explicit, and heed instance_discovery, or take --wiring netns, in which it needs none of that")
}

// unvisited are the places of an exchange to which the client sent nothing.
func (s *Session) unvisited() []string {
	var missing []string
	if len(s.Exchanges(lab.IMDSToken, lab.IMDSOther, lab.EndpointToken)) == 0 && !s.knocked() {
		missing = append(missing, map[bool]string{true: "imds", false: "the managed identity endpoint in its environment"}[s.Config.Source == "imds"])
	}
	if len(s.Exchanges(lab.Token, lab.OpenIDConfig, lab.InstanceDiscovery, lab.Keys, lab.STSOther)) == 0 {
		authority := "authority"
		if len(s.Hellos()) > 0 && !s.knocked() {
			authority += " but the beginning of TLS, as if it did not trust ca_file"
		}
		missing = append(missing, authority)
	}
	return missing
}
