package exampletest

import (
	"regexp"
	"strings"
)

var (
	exceptions = regexp.MustCompile(`^([\w.]+Exception: )+`)
	variable   = regexp.MustCompile(`[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|/subscriptions/\S+|0x[0-9a-f]+|-{4,}|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?`)
)

// Shortened leaves out of an error what differs from run to run, and all behind
// the first 160 letters.
func Shortened(text string) string {
	const enough = 160
	text = variable.ReplaceAllString(exceptions.ReplaceAllString(text, ""), "…")
	if letters := []rune(text); len(letters) > enough {
		text = string(letters[:enough]) + "…"
	}
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'", "*", `\*`, "_", `\_`).Replace(text)
}
