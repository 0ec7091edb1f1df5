package journal

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func add(j *Journal, e Entry, tokens ...string) int {
	e.Seq = j.Open()
	var digests [][32]byte
	for _, t := range tokens {
		digests = append(digests, j.Issued(e.Seq, t))
	}
	j.Close(e, digests...)
	return e.Seq
}

func TestJournalKeepsTheNewestAndSaysWhatItDropped(t *testing.T) {
	j := New(Limits{Entries: 3, Bytes: 1 << 20})
	for range 5 {
		add(j, Entry{Op: "imds.token", Response: Response{Status: 200}})
	}
	log := j.Snapshot()
	if len(log.Entries) != 3 || log.Entries[0].Seq != 3 || log.Dropped.Entries != 2 {
		t.Fatalf("kept %d entries from #%d on and dropped %d; want 3 from #3 on and 2", len(log.Entries), log.Entries[0].Seq, log.Dropped.Entries)
	}
	if want := "(2 older entries, about"; !strings.HasPrefix(log.String(), want) {
		t.Fatalf("transcript begins %q, want %q", log.String(), want)
	}
}

func TestJournalIsBoundedByBytes(t *testing.T) {
	j := New(Limits{Entries: 1000, Bytes: 10_000})
	for range 100 {
		add(j, Entry{Op: "blob.put", Request: Request{Body: make([]byte, 3000)}})
	}
	if log := j.Snapshot(); len(log.Entries) > 3 || len(log.Entries) == 0 {
		t.Fatalf("kept %d entries of 3,000 bytes in 10,000", len(log.Entries))
	}
	add(j, Entry{Op: "blob.put", Request: Request{Body: make([]byte, 50_000)}})
	if log := j.Snapshot(); len(log.Entries) != 1 {
		t.Fatalf("an entry over the limit leaves %d entries, want itself alone", len(log.Entries))
	}
}

func TestLineageFollowsTokens(t *testing.T) {
	j := New(Limits{})
	mi := add(j, Entry{Op: "imds.token"}, "assertion")
	add(j, Entry{Op: "imds.token"}, "another")
	sts := add(j, Entry{Op: "sts.token", Used: []int{j.IssuedBy("assertion")}}, "access")
	list := add(j, Entry{Op: "blob.list-blobs", Used: []int{j.IssuedBy("access")}})
	log := j.Snapshot()
	var got []int
	for _, e := range log.Lineage(log.Entries[list-1]).Entries {
		got = append(got, e.Seq)
	}
	if len(got) != 3 || got[0] != mi || got[1] != sts || got[2] != list {
		t.Fatalf("lineage = %v, want [%d %d %d]", got, mi, sts, list)
	}
	if j.IssuedBy("never seen") != 0 {
		t.Fatal("a token that was never issued has an issuer")
	}
}

func TestDroppedEntriesForgetTheirTokens(t *testing.T) {
	j := New(Limits{Entries: 1})
	add(j, Entry{}, "token")
	add(j, Entry{}, "other")
	if got := j.IssuedBy("token"); got != 0 {
		t.Fatalf("the token of a dropped entry is still said to come from #%d", got)
	}
	second := add(j, Entry{}, "other")
	add(j, Entry{}, "other")
	if got := j.IssuedBy("other"); got != second+1 {
		t.Fatalf("a token handed out twice comes from #%d, want the newest, #%d", got, second+1)
	}
}

const jwt = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"

func TestPrintedFormsHoldNoSecrets(t *testing.T) {
	e := Entry{
		Seq: 4, Op: "sts.token",
		Request: Request{
			Method: "POST", URL: "https://login.microsoftonline.com/t/oauth2/v2.0/token?client_secret=hunter2",
			Header: http.Header{"Authorization": {"Bearer " + jwt}, "Secret": {"hunter2"}, "X-Identity-Header": {"hunter2"}, "Cookie": {"hunter2"}},
			Body:   []byte("client_id=a&client_secret=hunter2&client_assertion=" + jwt),
		},
		Response: Response{Status: 200, Body: []byte(`{"token_type":"Bearer","access_token":"` + jwt + `","refresh_token":"hunter2"}`)},
		Decision: Decision{Code: "X", Why: "the assertion " + jwt + " is wrong, and so is client_secret=hunter2"},
		Facts:    []Fact{{"", "contoso"}, {"scope", "two words"}, {"scope", jwt}, {"resource", "x?client_secret=hunter2"}},
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for name, printed := range map[string]string{"JSON": string(raw), "transcript": Log{Entries: []Entry{e}}.String()} {
		if strings.Contains(printed, "hunter2") || strings.Contains(printed, jwt[40:]) {
			t.Errorf("%s shows a secret:\n%s", name, printed)
		}
	}
	if want := `4 sts.token 200 contoso scope="two words" scope="[token `; !strings.HasPrefix(e.String(), want) {
		t.Errorf("line = %q, want it to begin %q", e.String(), want)
	}
	var back Entry
	if err := json.Unmarshal(raw, &back); err != nil || back.Seq != 4 || back.Response.Status != 200 || back.String() != e.String() {
		t.Errorf("read back %+v (%v)", back, err)
	}
}

func TestJournalCountsEntriesThatAreOpenOrDropped(t *testing.T) {
	j := New(Limits{Entries: 1})
	for range 3 {
		j.Close(Entry{Seq: j.Open()})
	}
	j.Open()
	if got := j.Opened(); got != 4 {
		t.Errorf("the newest entry is %d, want 4", got)
	}
	j.Reset()
	if got := j.Opened(); got != 0 {
		t.Errorf("after a reset the newest entry is %d, want 0", got)
	}
}
