package lab

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestNoiseChangesNothingThatAnAnswerMeans(t *testing.T) {
	const body = `{"token_type":"Bearer","expires_in":3599,"big":12345678901234567890,"access_token":"a\u003cb","nested":{"z":1,"a":[2]}}`
	var want map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		t.Fatal(err)
	}
	seen, orders := map[string]bool{}, map[bool]bool{}
	for seq := range 50 {
		a := JSON(http.StatusOK, json.RawMessage(body)).With("Content-Length", "1")
		x := &Exchange{Op: Token, Seq: seq}
		got := noise{"s"}.disturb(x, a)
		if again := (noise{"s"}).disturb(x, a); !reflect.DeepEqual(got, again) {
			t.Fatalf("one seed makes %+v and %+v", got, again)
		}
		if string(a.Body) != body || a.Delay != 0 || len(a.Header) != 2 {
			t.Fatalf("the answer itself was changed: %+v", a)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(got.Body, &members); err != nil {
			t.Fatalf("%v: %s", err, got.Body)
		}
		maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "noise_") })
		if !reflect.DeepEqual(members, want) || !strings.Contains(string(got.Body), `"noise_`) || got.Header.Get("Content-Length") != "" || len(got.Header) != 2 || got.Delay < 0 || got.Delay >= maxNoise {
			t.Fatalf("the answer is %+v\n%s", got, got.Body)
		}
		seen[string(got.Body)] = true
		orders[strings.Index(string(got.Body), `"access_token":"`) < strings.Index(string(got.Body), `"token_type"`)] = true
	}
	if len(seen) < 45 || len(orders) < 2 {
		t.Errorf("there are %d kinds of noise in 50 answers, and %d orders", len(seen), len(orders))
	}
}

func TestNoiseLeavesAloneWhatClientsActOn(t *testing.T) {
	token := func() *Answer { return JSON(http.StatusOK, map[string]any{"a": 1}) }
	for name, a := range map[string]*Answer{
		"a refusal": JSON(http.StatusBadRequest, map[string]any{"error": "x"}), "a redirect": Text(http.StatusFound, "text/html", ""), "silence": {Status: http.StatusOK, Hang: true},
		"half an answer": {Status: http.StatusOK, Broken: true}, "no end": {Status: http.StatusOK, Endless: 1},
	} {
		if got := (noise{"s"}).disturb(&Exchange{}, a); got != a {
			t.Errorf("%s becomes %+v", name, got)
		}
	}
	if a := token(); (noise{}).disturb(&Exchange{}, a) != a {
		t.Error("there is noise without a seed")
	}
	for _, body := range []string{"[1]", "null", "{", "", `"a"`} {
		a := Text(http.StatusOK, "application/json", body)
		if got := (noise{"s"}).disturb(&Exchange{}, a); string(got.Body) != body {
			t.Errorf("%s becomes %s", body, got.Body)
		}
	}
	blobs := Text(http.StatusOK, "application/xml", "<a/>")
	if got := (noise{"s"}).disturb(&Exchange{}, blobs); string(got.Body) != "<a/>" || !slices.Equal(got.Header["Content-Type"], blobs.Header["Content-Type"]) {
		t.Errorf("what is not JSON becomes %+v", got)
	}
}
