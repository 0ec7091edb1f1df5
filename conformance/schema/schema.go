// Package schema has the messages of package driver, and the reports of package
// suite, as JSON Schemas (draft 2020-12), for those who write or read them in other
// languages, and says where one is not as its schema has it.
package schema

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// The schemas.
var (
	//go:embed request.json
	requestSchema []byte
	//go:embed answer.json
	answerSchema []byte
	//go:embed report.json
	reportSchema []byte
)

var (
	requests = sync.OnceValue(func() *document { return parse(requestSchema) })
	answers  = sync.OnceValue(func() *document { return parse(answerSchema) })
	reports  = sync.OnceValue(func() *document { return parse(reportSchema) })
)

// Names lists the schemas that there are.
func Names() []string { return []string{"request", "answer", "report"} }

// Text returns the schema with one of the [Names], or nil.
func Text(name string) []byte {
	return slices.Clone(map[string][]byte{"request": requestSchema, "answer": answerSchema, "report": reportSchema}[name])
}

// The parts of the schema of answers that are for operations.
const (
	toHello = "#/$defs/to_hello"
	toToken = "#/$defs/to_token"
	toOpen  = "#/$defs/to_open"
)

// part names the part of the schema of answers that is for an operation.
func part(op driver.Op) string {
	switch op {
	case driver.OpHello:
		return toHello
	case driver.OpToken, driver.OpMIToken, driver.OpResource:
		return toToken
	}
	return toOpen
}

// Request says where a request is not as its schema has it.
func Request(text []byte) error { return requests().check("#", text) }

// Answer says where the answer to an operation is not as its schema has it.
func Answer(op driver.Op, text []byte) error { return answers().check(part(op), text) }

// Report says where a report in JSON is not as its schema has it.
func Report(text []byte) error { return reports().check("#", text) }

// Line says where a line of a report in JSON Lines is not as its schema has it.
func Line(text []byte) error { return reports().check("#/$defs/line", text) }

// decoded is JSON with its numbers as they are written.
func decoded(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON; expected its end")
	}
	return v, nil
}
