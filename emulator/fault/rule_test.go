package fault

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fakeentra/fakeentra/emulator/journal"
)

func TestSpecsAreReadAsTheyAreWritten(t *testing.T) {
	for _, tc := range []struct {
		json string
		want []Rule
	}{
		{`{"op":"sts.token","hangup":true}`, []Rule{{Op: "sts.token", Do: Hangup{}}}},
		{`{"name":"slow","op":"imds.token","after":1,"times":2,"delay":"1m30s"}`, []Rule{{Name: "slow", Op: "imds.token", After: 1, Times: 2, Do: Delay(90 * time.Second)}}},
		{`{"op":"imds.token","for":"70s","refuse":"updating-410"}`, []Rule{{Op: "imds.token", For: 70 * time.Second, Do: Refuse("updating-410")}}},
		{`[{"op":"a","hang":true},{"op":"b","reset":true}]`, []Rule{{Op: "a", Do: Hang{}}, {Op: "b", Do: Reset{}}}},
		{`{"op":"blob.get","refuse":"ServerBusy"}`, []Rule{{Op: "blob.get", Do: Refuse("ServerBusy")}}},
		{`{"op":"x","respond":{"status":429,"header":{"retry-after":"7","X-A":["1","2"]},"body":"Too Many Requests"}}`,
			[]Rule{{Op: "x", Do: Respond{Status: 429, Header: http.Header{"Retry-After": {"7"}, "X-A": {"1", "2"}}, Body: "Too Many Requests"}}}},
		{` [ {"op":"a","hangup":true} , {"op":"b","refuse":"c"} ] `, []Rule{{Op: "a", Do: Hangup{}}, {Op: "b", Do: Refuse("c")}}},
		{`[]`, []Rule{}},
	} {
		specs, err := ParseSpecs([]byte(tc.json))
		if err != nil {
			t.Errorf("%s: %v", tc.json, err)
			continue
		}
		got, err := Rules(specs...)
		if err != nil {
			t.Errorf("%s: %v", tc.json, err)
		}
		if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Rule{}, "When")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.json, diff)
		}
	}
}

func TestWrongSpecsSayWhatWasExpected(t *testing.T) {
	const keys = "; expected one of: name, op, after, times, for, respond, delay, hang, hangup, reset, refuse"
	for _, tc := range []struct{ json, want string }{
		{``, "is not JSON: unexpected end of JSON input; expected a fault rule, or a list of them"},
		{`{"op":"x"`, "is not JSON: unexpected end of JSON input; expected a fault rule, or a list of them"},
		{`{"op":"x","hangup":true} {}`, "is not JSON: invalid character '{' after top-level value; expected a fault rule, or a list of them"},
		{`null`, "is null; expected a fault rule, or a list of them"},
		{`"x"`, "is text; expected a fault rule, or a list of them"},
		{`[7]`, "[0] is 7; expected an object"},
		{`{"opp":"x"}`, `has the unknown member "opp"` + keys},
		{`{"Op":"x"}`, `has the unknown member "Op"` + keys},
		{`[{"op":"x","hangup":true},{"when":"x"}]`, `[1] has the unknown member "when"` + keys},
		{`{"op":"x","op":"y"}`, "op is there twice; expected each member once"},
		{`{"op":7}`, "op is 7; expected the name of an operation, such as sts.token"},
		{`{"op":null}`, "op is null; expected the name of an operation, such as sts.token"},
		{`{"name":[]}`, "name is a list; expected text"},
		{`{"after":"1"}`, "after is text; expected a whole number, 0 or more"},
		{`{"times":1.5}`, "times is 1.5; expected a whole number, 0 or more"},
		{`{"times":1e99}`, "times is 1e99; expected a whole number, 0 or more"},
		{`{"op":"x","times":-1,"hangup":true}`, "times is -1; expected a whole number, 0 or more"},
		{`{"op":"x","after":-1,"hangup":true}`, "after is -1; expected a whole number, 0 or more"},
		{`{"respond":503}`, "respond is 503; expected an object"},
		{`{"respond":{"code":503}}`, `respond has the unknown member "code"; expected one of: status, header, body`},
		{`{"respond":{"status":"503"}}`, "respond.status is text; expected 200 to 599"},
		{`{"respond":{"body":{}}}`, "respond.body is an object; expected text"},
		{`{"respond":{"header":[]}}`, "respond.header is a list; expected an object"},
		{`{"respond":{"header":{"A":1}}}`, "respond.header.A is 1; expected text, or a list of texts"},
		{`{"respond":{"header":{"A":[null]}}}`, "respond.header.A is a list; expected text, or a list of texts"},
		{`{"op":"x","respond":{}}`, "respond.status is 0; expected 200 to 599"},
		{`{"op":"x","respond":{"status":101}}`, "respond.status is 101; expected 200 to 599"},
		{`{"op":"x","respond":{"status":200,"header":{"a b":"1"}}}`, `respond.header has the name "a b"; expected letters, digits and hyphens`},
		{`{"op":"x","respond":{"status":200,"header":{"A":"1\r\nB: 2"}}}`, "respond.header.A has a control character; expected one line of text"},
		{`{"delay":2}`, "delay is 2; expected a duration over zero, such as 2s or 1m30s"},
		{`{"delay":"2"}`, `delay is "2"; expected a duration over zero, such as 2s or 1m30s`},
		{`{"delay":"0s"}`, `delay is "0s"; expected a duration over zero, such as 2s or 1m30s`},
		{`{"for":70}`, "for is 70; expected a duration over zero, such as 2s or 1m30s"},
		{`{"for":"-70s"}`, `for is "-70s"; expected a duration over zero, such as 2s or 1m30s`},
		{`{"hang":null}`, "hang is null; expected true"},
		{`{"reset":"true"}`, "reset is text; expected true"},
		{`{"op":"x","hang":true,"reset":true}`, "says hang and reset at once; expected one of: respond, delay, hang, hangup, reset, refuse"},
		{`{"hangup":false}`, "hangup is false; expected true"},
		{`{"refuse":true}`, "refuse is true; expected the code of a refusal, such as AADSTS90033"},
		{`{"hangup":true}`, "op is missing; expected the name of an operation, such as sts.token"},
		{`{"op":"x"}`, "says nothing to do; expected one of: respond, delay, hang, hangup, reset, refuse"},
		{`{"op":"x","refuse":""}`, "says nothing to do; expected one of: respond, delay, hang, hangup, reset, refuse"},
		{`{"op":"x","hangup":true,"delay":"1s"}`, "says delay and hangup at once; expected one of: respond, delay, hang, hangup, reset, refuse"},
		{`[{"op":"x","hangup":true},{"op":"x"}]`, "[1] says nothing to do; expected one of: respond, delay, hang, hangup, reset, refuse"},
		{`[{"op":"x","hangup":true},{"hangup":true}]`, "[1].op is missing; expected the name of an operation, such as sts.token"},
	} {
		specs, err := ParseSpecs([]byte(tc.json))
		if err == nil {
			_, err = Rules(specs...)
		}
		if err == nil || err.Error() != "fault rule: "+tc.want {
			t.Errorf("%s:\ngot  %v\nwant fault rule: %s", tc.json, err, tc.want)
		}
	}
}

func TestSpecsBuiltInGoAreCheckedToo(t *testing.T) {
	if _, err := (Spec{Op: "x", Delay: -time.Second}).Rule(); err == nil || err.Error() != "fault rule: delay is -1s; expected a duration over zero, such as 2s or 1m30s" {
		t.Errorf("a negative delay: %v", err)
	}
	if _, err := (Spec{Op: "x", Hang: true, For: -time.Second}).Rule(); err == nil || err.Error() != "fault rule: for is -1s; expected a duration over zero, such as 2s or 1m30s" {
		t.Errorf("a negative time: %v", err)
	}
}

func TestARuleKeepsNothingOfItsSpec(t *testing.T) {
	s := Spec{Op: "x", Respond: &Respond{Status: 503, Header: http.Header{"Retry-After": {"1"}}}}
	r, err := s.Rule()
	if err != nil {
		t.Fatal(err)
	}
	s.Respond.Header.Set("Retry-After", "2")
	if got := r.Do.(Respond).Header.Get("Retry-After"); got != "1" {
		t.Errorf("the rule says Retry-After: %s after its spec was edited, want 1", got)
	}
}

func TestUnmarshalForgetsWhatASpecSaidBefore(t *testing.T) {
	s := Spec{Op: "x", Hangup: true}
	if err := json.Unmarshal([]byte(`{"op":"y","delay":"2s"}`), &s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Spec{Op: "y", Delay: 2 * time.Second}, s); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseSpecs(f *testing.F) {
	for _, seed := range []string{
		`{"op":"sts.token","name":"n","after":1,"times":2,"respond":{"status":429,"header":{"A":["1",""]},"body":"x"}}`,
		`[{"op":"a","delay":"1h2m3.5s"},{"op":"b","hangup":true},{"op":"c","refuse":"AADSTS90033"}]`,
		`[]`, `null`, `{"op":"x","op":"x"}`, `{"respond":{"header":{"":null}}}`, "\xff", `{"\ud800":1}`, `[[[[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		specs, err := ParseSpecs(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(specs)
		if err != nil {
			t.Fatalf("cannot write what was read from %q: %v", data, err)
		}
		again, err := ParseSpecs(written)
		if err != nil {
			t.Fatalf("cannot read %s: %v", written, err)
		}
		if diff := cmp.Diff(specs, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s reads differently:\n%s", written, diff)
		}
		rules, err := Rules(specs...)
		if err != nil {
			return
		}
		for _, r := range rules {
			if err := r.Check(func(journal.Op) bool { return true }); err != nil {
				t.Fatalf("the rule of %s is not one: %v", written, err)
			}
		}
	})
}
