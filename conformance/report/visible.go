package report

import (
	"fmt"
	"strings"
	"unicode"
)

// Visible is text of a stranger, such as a driver, as one line of a terminal or of a
// log: characters that do something there, or that nobody sees, are written out.
// Control characters become their pictures, such as ␛, and ␊ for the end of a line;
// the other ones escapes, such as \u202e. A tab stays. What is no UTF-8 becomes �.
// Neither a command of GitHub Actions that begins with ##[, nor one of Azure Pipelines
// that begins with ##vso[, remains, which are obeyed anywhere in a line
// (ActionCommand.TryParse of actions/runner, and the logging commands of Azure
// Pipelines); one that begins with :: does if it is put at the beginning of a line.
func Visible(text string) string {
	var b strings.Builder
	for _, r := range text { // bytes that are no UTF-8 are unicode.ReplacementChar
		switch {
		case r == '\t':
			b.WriteRune(r)
		case r < ' ':
			b.WriteRune('\u2400' + r)
		case r == 0x7f:
			b.WriteRune('\u2421')
		case r > 0xffff && unseen(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		case unseen(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return disarm.Replace(b.String())
}

// disarm takes the beginnings of commands apart. What looks like one to a comparison
// that passes over some characters has none of these any more.
var disarm = strings.NewReplacer("##[", "## [", "##vso[", "##vso [")

// unseen reports whether a character shows nothing of its own: controls of ISO 6429
// (C1), those that change the direction of text, ends of lines, and what is to be
// passed over.
func unseen(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// visibleLines are the lines of a text, each as [Visible] has it.
func visibleLines(text string) []string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = Visible(line)
	}
	return lines
}
