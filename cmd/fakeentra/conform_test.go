package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
)

// referenceDriver drives the reference client of the conformance suite, or the one
// that is wrong in the way that fails the check which its first argument names.
// With "until" and a check, it says nothing any more when it comes to that one.
func referenceDriver() {
	args := append(os.Args[1:], "", "")
	if args[0] != "until" {
		driver.Main(reference.New(reference.FindBug(args[0])))
	}
	dispatcher := driver.NewDispatcher(reference.New(nil))
	lines, answers := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var r driver.Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		if strings.HasPrefix(r.Session, args[1]+"/") {
			continue
		}
		if err := answers.Encode(dispatcher.Do(context.Background(), r)); err != nil {
			panic(err)
		}
	}
}
