package scenario

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/fixtures"
)

// embedded returns the text of every scenario of the project, by name.
func embedded(t testing.TB) map[string]string {
	t.Helper()
	files, err := fs.Glob(fixtures.Scenarios, "scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: %v, %v", files, err)
	}
	out := map[string]string{}
	for _, f := range files {
		data, err := fs.ReadFile(fixtures.Scenarios, f)
		if err != nil {
			t.Fatal(err)
		}
		out[path.Base(f)] = string(data)
	}
	return out
}

func TestScenariosOfTheProjectSayWhatTheyShowAndWarnOfThatOnly(t *testing.T) {
	want := map[string][]string{
		"wrong-subject.yaml": {"fic-subject-is-client-id"},
	}
	for name, text := range embedded(t) {
		if !strings.HasPrefix(text, "# ") {
			t.Errorf("%s does not begin with a comment that says what it shows", name)
		}
		s, err := Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		var got []string
		for _, w := range s.Lint() {
			got = append(got, w.Rule)
		}
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("%s: warnings differ (-want +got):\n%s", name, diff)
		}
	}
}
