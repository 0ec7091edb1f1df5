package scenario

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// MaxSize is the largest scenario file that is read, in bytes.
const MaxSize = 1 << 20

// maxDepth is how deep lists and mappings can be nested. The format needs ten
// levels.
const maxDepth = 32

// document reads the one YAML document of a file. It returns nil if there is
// none that could be read further.
func document(data []byte, found *problems) *yaml.Node {
	if !readable(data, found) {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data),
		yaml.WithUniqueKeys(false), // duplicates are reported with both lines
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		found.add(spot{line: 1}, "%v", err)
		return nil
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		found.add(spot{line: 1, column: 1}, `the file is empty; expected "fakeentra: %d" and what the cloud consists of`, Version)
		return nil
	case err != nil:
		syntax(data, err, found)
		return nil
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		syntax(data, err, found)
		return nil
	default:
		found.add(spot{line: second.Line, column: second.Column}, "a second YAML document begins here; expected one document")
	}
	if len(first.Content) == 0 {
		found.add(spot{line: 1, column: 1}, "the file says nothing; expected \"fakeentra: %d\"", Version)
		return nil
	}
	return first.Content[0]
}

// readable refuses what the YAML library would refuse without naming a line.
func readable(data []byte, found *problems) bool {
	if len(data) > MaxSize {
		found.add(spot{line: 1}, "the file has more than %d bytes; expected %d at most", MaxSize, MaxSize)
		return false
	}
	line := 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			found.add(spot{line: line}, "the byte 0x%02x is not UTF-8; expected text in UTF-8", data[i])
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r':
			found.add(spot{line: line}, "the control character U+%04X is not allowed; expected text (in double quotes it can be written as \\x%02x)", r, r)
			return false
		case r == '\n':
			line++
		}
		i += size
	}
	return true
}

// syntax reports what the YAML library says about a file that is not YAML.
func syntax(data []byte, err error, found *problems) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		found.add(spot{line: 1}, "not YAML: %v", err)
		return
	}
	message := strings.TrimPrefix(load.Message, "yaml: ")
	if load.ContextMsg != "" {
		message += " " + load.ContextMsg
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	at := spot{line: min(max(load.Mark.Line, 1), len(lines)), column: load.Mark.Column} // the end is beyond the last line
	if strings.HasPrefix(strings.TrimLeft(lines[at.line-1], " "), "\t") {
		message = "a tab cannot indent a line; expected spaces"
	}
	found.add(at, "not YAML: %s", message)
}
