package sources

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fakeentra/fakeentra/internal/exampletest"
)

// A trial is an SDK at a place.
type trial struct {
	exampletest.SDK
	place
	fakeentra string
	command   []string
}

// run returns what works, in one word for the table, and what is to say of the
// rest.
func (r trial) run(t *testing.T) (cell, notes string) {
	if r.fetch != "" {
		return r.signIn(t)
	}
	var words []string
	for _, n := range namings {
		words = append(words, n.word)
	}
	outcomes, requests := r.execute(t, words)
	var groups []group
	for i, n := range namings {
		identity := requests.identity(outcomes[i], r.resource != "")
		letter, text := r.judge(n, outcomes[i], identity)
		cell += letter
		if last := len(groups) - 1; text != "" && last >= 0 && groups[last].text == text {
			groups[last].namings = append(groups[last].namings, n.text)
		} else if text != "" {
			groups = append(groups, group{[]string{n.text}, text})
		}
	}
	for _, g := range groups {
		notes += fmt.Sprintf("- `%s`, %s: %s\n", r.name, strings.Join(g.namings, ", "), g.text)
	}
	if cell == "" {
		cell = "-"
	}
	return cell, notes
}

// A group are the ways of naming an identity that lead to the same.
type group struct {
	namings []string
	text    string
}

// judge says what became of one naming: a letter if it works, or else a text. No
// credential names a system-assigned identity, so its exchange has to be refused.
func (r trial) judge(n naming, outcome, identity string) (letter, text string) {
	refused := strings.Contains(outcome, "AADSTS700213")
	switch {
	case identity == "":
		return "", "“" + exampletest.Shortened(outcome) + "”"
	case n.identity == "" && identity == r.own() && refused == (r.resource == ""), n.identity == identity && outcome == "ok":
		return n.letter, ""
	case n.identity == "" && identity == "by-client-id" && outcome == "ok":
		return "d", ""
	case identity == r.own():
		return "", "is ignored, and the token is that of none named"
	}
	return "", "is given the token of " + identity
}

// signIn is run where there is no managed identity.
func (r trial) signIn(t *testing.T) (cell, notes string) {
	word, cell := "file", "assertion"
	if r.Credentials && r.known {
		word, cell = "workload", "credential"
	}
	outcomes, requests := r.execute(t, []string{word})
	if outcomes[0] == "ok" && len(requests.exchanges) == 1 && strings.Contains(requests.exchanges[0], " credential="+r.name+" ") {
		return cell, ""
	}
	return "-", fmt.Sprintf("- `%s`: “%s”\n", r.name, exampletest.Shortened(outcomes[0]))
}

// execute runs the program, and returns what came of each word.
func (r trial) execute(t *testing.T, words []string) ([]string, requests) {
	t.Helper()
	scenario, err := filepath.Abs("sources.yaml")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--mode", "netns", "--transcript", "--scenario", scenario, "--host", r.name, "--"}
	if r.fetch != "" {
		args = append(args, "sh", "-c", "("+r.fetch+`) >"$ASSERTION_FILE" && exec "$@"`, "sh")
	}
	cmd := exec.CommandContext(t.Context(), r.fakeentra, append(append(args, r.command...), words...)...)
	cmd.Dir = r.Folder(t)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "ASSERTION_FILE="+filepath.Join(t.TempDir(), "assertion"),
		"PYTHONHASHSEED=0") // errors list sets
	if r.resource != "" {
		cmd.Env = append(cmd.Env, "RESOURCE="+r.resource)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", r.name, err, stderr.String())
	}
	var outcomes []string
	for i, line := range strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n") {
		word, outcome, ok := strings.Cut(line, "\t")
		if !ok || i >= len(words) || word != words[i] {
			t.Fatalf("%s: %q is not about %q\n%s", r.name, line, words, stderr.String())
		}
		outcomes = append(outcomes, outcome)
	}
	if len(outcomes) != len(words) {
		t.Fatalf("%s: %d outcomes of %q\n%s", r.name, len(outcomes), words, stderr.String())
	}
	return outcomes, requestsIn(stderr.String())
}

// requests are what a program asked for.
type requests struct {
	tokens    map[string]string // the identity of each token, by the number of the request
	last      string            // that of the newest
	exchanges []string          // the rest of their lines, in order
}

var requestLine = regexp.MustCompile(`^  (\d+) (\S+) (\d+) \S+ (.*)$`)

func requestsIn(transcript string) requests {
	r := requests{tokens: map[string]string{}}
	for line := range strings.Lines(transcript) {
		m := requestLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		switch {
		case m == nil:
		case m[2] == "sts.token":
			r.exchanges = append(r.exchanges, m[4])
		case strings.HasSuffix(m[2], ".token") && m[3] == "200":
			r.last, _, _ = strings.Cut(m[4], " ")
			r.tokens[m[1]] = r.last
		}
	}
	return r
}

var assertion = regexp.MustCompile(` assertion=#(\d+) `)

// identity returns whose token led to an outcome, which is the next one if it was
// presented to the token service. It is empty if there was none.
func (r *requests) identity(outcome string, tokenOnly bool) string {
	presented := outcome == "ok" || strings.Contains(outcome, "AADSTS")
	switch {
	case !presented:
		return ""
	case tokenOnly:
		return r.last
	case len(r.exchanges) == 0:
		return "nobody"
	}
	next := r.exchanges[0]
	r.exchanges = r.exchanges[1:]
	m := assertion.FindStringSubmatch(next)
	if m == nil {
		return "nobody"
	}
	return r.tokens[m[1]]
}
