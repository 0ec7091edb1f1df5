// Package retries finds out how SDKs retry when the endpoint of a managed
// identity fails, and holds docs/retries.md to it.
package retries

import (
	"cmp"
	"flag"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/fault"
	"github.com/fakeentra/fakeentra/internal/exampletest"
	"github.com/fakeentra/fakeentra/internal/toolchain"
)

var update = flag.Bool("update", false, "rewrite docs/retries.md to what the SDKs do")

// A trouble is what goes wrong.
type trouble struct {
	source fakeentra.Source // the host of examples/sources/sources.yaml has the same name
	name   string
	rule   fault.Rule
}

var troubles = []trouble{
	{fakeentra.IMDS, "400", fault.Rule{Op: "imds.token", Do: fault.Refuse("identity-not-found")}},
	{fakeentra.IMDS, "404", fault.Rule{Op: "imds.token", Do: fault.Refuse("updating-404")}},
	{fakeentra.IMDS, "410", fault.Rule{Op: "imds.token", Do: fault.Refuse("updating-410")}},
	{fakeentra.IMDS, "429, twice", fault.Rule{Op: "imds.token", Times: 2, Do: busy(`{"error":"too_many_requests","error_description":"Temporarily throttled, too many requests"}`)}},
	{fakeentra.IMDS, "500", fault.Rule{Op: "imds.token", Do: fault.Refuse("entra-failed")}},
	{fakeentra.IMDS, "500 as text", fault.Rule{Op: "imds.token", Do: fault.Refuse("restarting")}},
	{fakeentra.IMDS, "no answer, once", fault.Rule{Op: "imds.token", Times: 1, Do: fault.Hang{}}},
	{fakeentra.AppService, "429, twice", fault.Rule{Op: "appservice.token", Times: 2, Do: busy(`{"statusCode":429,"message":"Too many requests."}`)}},
	{fakeentra.AppService, "500", fault.Rule{Op: "appservice.token", Do: fault.Refuse("appservice-token-failed")}},
}

// busy answers 429, and asks for four seconds of patience.
func busy(body string) fault.Action {
	return fault.Respond{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"4"}, "Content-Type": {"application/json; charset=utf-8"}}, Body: body}
}

// A habit is how an SDK waits.
type habit struct {
	shortest float64 // the part of the longest wait that chance may make of it
	virtual  bool    // whether the test has time of its own for it
	runs     int     // that an update takes
}

// habits are those of SDKs that are written in Go, or that wait at random: by
// reading them.
var habits = map[string]habit{
	"azidentity for Go":       {shortest: 0.8 / 1.3, virtual: true, runs: 100},
	"MSAL Go":                 {shortest: 1, virtual: true, runs: 1},
	"@azure/identity":         {shortest: 0.5, runs: 10},
	"azure-identity for Java": {shortest: 0.95 / 1.05, runs: 3},
	"azure_identity for Rust": {shortest: 0.4 / 0.655, runs: 3}, // adds up to 255 ms
}

func habitOf(s exampletest.SDK) habit {
	if h, ok := habits[s.Name]; ok {
		return h
	}
	return habit{shortest: 1, runs: 3}
}

// A cell is an SDK in trouble, by their places in the tables above.
type cell struct{ sdk, trouble int }

const docs = "../../docs/retries.md"

// Some of the programs are ended after two minutes of waiting. A pattern for
// subtests, as in -run /MSAL4J, does one SDK alone.
func TestSDKsRetryAsTheTableSays(t *testing.T) {
	if !*update && !toolchain.Required() {
		t.Skip("did without two minutes of real time; to have them: FAKEENTRA_REQUIRE_ALL=1")
	}
	fakeentra := exampletest.Build(t, "cmd/fakeentra")
	exampletest.Permitted(t, fakeentra, "netns")
	trials := map[cell]trial{}
	for i, s := range exampletest.SDKs {
		if habitOf(s).virtual {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			command := s.Program(t)
			for j, what := range troubles {
				trials[cell{i, j}] = trial{what, fakeentra, s.Folder(t), command}
			}
		})
	}
	settle(t, runAll(t, trials))
}

// runAll runs programs side by side, as nearly all that they do is to wait, and
// starts those first that take longest.
func runAll(t *testing.T, trials map[cell]trial) map[cell][]outcome {
	recorded := recordedIn(t)
	longestFirst := slices.SortedFunc(maps.Keys(trials), func(a, b cell) int {
		return cmp.Compare(recorded[b].inAll().most, recorded[a].inAll().most)
	})
	found := map[cell][]outcome{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range longestFirst {
		runs := 1
		if *update {
			runs = habitOf(exampletest.SDKs[c.sdk]).runs
		}
		for range runs {
			starting <- struct{}{}
			all.Go(func() {
				o, err := trials[c].run(t)
				if err != nil {
					t.Errorf("%s: %v", c, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				found[c] = append(found[c], o)
			})
		}
	}
	all.Wait()
	return found
}

// settle compares what SDKs did with what is recorded of them, or records it.
func settle(t *testing.T, found map[cell][]outcome) {
	t.Helper()
	recorded := recordedIn(t)
	for c, runs := range found {
		h := habitOf(exampletest.SDKs[c.sdk])
		got, err := h.merged(runs)
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		wrong := recorded[c].differs(got, h)
		switch {
		case wrong == "":
		case *update:
			recorded[c] = got.rounded()
		default:
			t.Errorf("%s: %s: it was %v, then %s; %s has %v, then %s; go test ./examples/retries -update rewrites it", c, wrong, got, got.then, docs, recorded[c], recorded[c].then)
		}
	}
	if !*update || t.Failed() {
		return
	}
	if err := os.WriteFile(docs, []byte(rewrite(t, recorded)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What is not measured follows from the rest: names, versions, and the first
// table from the others.
func TestTheTablesAgree(t *testing.T) {
	was, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(rewrite(t, recordedIn(t)), string(was)); diff != "" && !*update {
		t.Errorf("%s is not what go test ./examples/retries -update would make of it (-want +got):\n%s", docs, diff)
	}
}
