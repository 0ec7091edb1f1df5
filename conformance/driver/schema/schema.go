// Package schema has the messages of package driver as JSON Schemas (draft
// 2020-12), for those who write drivers in other languages, and says where a
// message is not as they have it.
package schema

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/fakeentra/fakeentra/conformance/driver"
)

// The schemas.
var (
	//go:embed request.json
	requestSchema []byte
	//go:embed answer.json
	answerSchema []byte
)

var (
	requests = sync.OnceValue(func() *document { return parse(requestSchema) })
	answers  = sync.OnceValue(func() *document { return parse(answerSchema) })
)

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

// decoded is JSON with its numbers as they are written.
func decoded(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	return v, nil
}
