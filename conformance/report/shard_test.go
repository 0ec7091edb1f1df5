package report_test

import (
	"testing"

	"github.com/fakeentra/fakeentra/conformance/report"
)

func TestShards(t *testing.T) {
	for text, want := range map[string]report.Shard{
		"1/1": {1, 1}, "2/5": {2, 5}, "10000/10000": {10000, 10000},
		"": {}, "2": {}, "/": {}, "0/5": {}, "6/5": {}, "-1/-5": {}, "+1/5": {}, "01/5": {}, "2/5x": {}, "2/5/6": {}, " 2/5": {}, "1/10001": {}, "1/4294967296": {}, "1/4294967297": {}, "1/99999999999999999999": {},
	} {
		got, err := report.ParseShard(text)
		if got != want || (err == nil) != (want.Of > 0) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
		if err != nil && err.Error() != "expected a number and how many there are, such as 2/5, and 10000 at most" {
			t.Errorf("%q is refused with %v", text, err)
		}
		if err == nil && got.String() != text {
			t.Errorf("%q is written as %q", text, got.String())
		}
	}
}
