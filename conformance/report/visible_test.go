package report_test

import (
	"testing"

	"github.com/fakeentra/fakeentra/conformance/report"
)

func TestWhatATerminalWouldDoIsShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"größer, 大 and \U0001f600\tok": "größer, 大 and \U0001f600\tok",
		"o\x1b[31m\x00\x7f":            "o␛[31m␀␡",
		"a\nb\r\nc":                    "a␊b␍␊c",
		"\u009b31m\u0085":              `\u009b31m\u0085`,
		"\u202eabc\u2066\u200d\u2028":  `\u202eabc\u2066\u200d\u2028`,
		"\U000e0041":                   `\U000e0041`,
		"\x9b31m \xff":                 "�31m �",
		"##[error]x":                   "## [error]x",
		"###[error]x ##vso[task]":      "### [error]x ##vso [task]",
		"##\ufe0f[error]":              `##\ufe0f[error]`,
		"## heading, a[1]":             "## heading, a[1]",
	} {
		if got := report.Visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
