package expect

import "testing"

func TestVersionsUnderConstraints(t *testing.T) {
	for _, c := range []struct {
		version, constraint string
		want                bool
	}{
		{"7.9.1", "<8", true}, {"8.0.0", "<8", false}, {"8.0.0-beta.1", "<8", false}, {"7.1.0b2", "<8", true}, {"v1.15.0", ">=1.15", true},
		{"1.15", ">1.15.0", false}, {"1.9.0", "<1.10", true}, {"1.2.3.4", "=1.2.3", true}, {"2", "!=2.0.0", false},
		{"7.5", ">=7.2, <8", true}, {"8.5", ">=7.2, <8", false}, {"7.1", ">= 7.2 ,<8", false},
	} {
		wanted, ok := parseConstraint(c.constraint)
		if !ok {
			t.Fatalf("%q is no constraint", c.constraint)
		}
		if got := wanted.holds(parseVersion(c.version)); got != c.want {
			t.Errorf("%s %s is %v, want %v", c.version, c.constraint, got, c.want)
		}
	}
	for _, wrong := range []string{"", "8", "~8", "<", "<8,", "<x", "<8.x", "<1.2.3.4", "<8.0.0-beta", "<01"} {
		if _, ok := parseConstraint(wrong); ok {
			t.Errorf("%q is a constraint", wrong)
		}
	}
	for _, wrong := range []string{"", "main", "x1.2", "2026.01.02"} {
		if got := parseVersion(wrong); got != "" {
			t.Errorf("%q is the version %s", wrong, got)
		}
	}
}
