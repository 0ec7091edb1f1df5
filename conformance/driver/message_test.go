package driver

import (
	"encoding/json"
	"math"
	"testing"
)

func TestAnOutcomeHasTheNearestTimeThatThereIs(t *testing.T) {
	for text, want := range map[string]int64{
		`{}`:                           0,
		`{"expires_on": null}`:         0,
		`{"expires_on": 1764345600}`:   1764345600,
		`{"expires_on": 1764345600.9}`: 1764345600,
		`{"expires_on": -1}`:           -1,
		`{"expires_on": 1e99}`:         math.MaxInt64,
		`{"expires_on": 1e999}`:        math.MaxInt64,
		`{"expires_on": -1e99}`:        math.MinInt64,
		`{"expires_on": 1000000000000000000000000000000}`: math.MaxInt64,
	} {
		var o Outcome
		if err := json.Unmarshal([]byte(text), &o); err != nil || o.ExpiresOn != want {
			t.Errorf("%s: %d, %v; want %d", text, o.ExpiresOn, err, want)
		}
	}
}

func TestAnOutcomeKeepsItsOtherMembers(t *testing.T) {
	var o Outcome
	if err := json.Unmarshal([]byte(`{"token": "t", "refresh_on": 5, "items": ["a"], "error": {"message": "m"}}`), &o); err != nil {
		t.Fatal(err)
	}
	if o.Token != "t" || o.RefreshOn != 5 || len(o.Items) != 1 || o.Error == nil || o.Error.Message != "m" {
		t.Errorf("got %+v", o)
	}
}
