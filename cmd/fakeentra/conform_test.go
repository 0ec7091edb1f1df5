package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/reference"
	"github.com/fakeentra/fakeentra/conformance/schema"
)

// serveDriver serves a driver over HTTP, at the URL in a file that it writes. As in
// programs that run for long, its clients keep the tokens of those before them.
func serveDriver(file string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err == nil {
		err = os.WriteFile(file+"~", []byte(`{"url":"http://`+l.Addr().String()+`"}`), 0o600)
	}
	if err == nil {
		err = os.Rename(file+"~", file)
	}
	if err == nil {
		quirks := reference.Quirks()
		keeps := slices.IndexFunc(quirks, func(q *reference.Quirk) bool { return q.Process })
		err = http.Serve(l, driver.Handler(reference.NewQuirky(quirks[keeps])))
	}
	panic(err)
}

// referenceDriver drives the reference client of the conformance suite, or the one
// that is wrong in the way that fails the check which its first argument names.
// With "http" and a file, it is served over HTTP. With "until" and a check, it says
// nothing any more when it comes to that one, and with "crash" it ends then.
func referenceDriver() {
	args := append(os.Args[1:], "", "")
	if args[0] == "http" {
		serveDriver(args[1])
	}
	if args[0] != "until" && args[0] != "crash" {
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
			if args[0] == "crash" {
				fmt.Fprintln(os.Stderr, "<b>sorry</b>")
				os.Exit(3)
			}
			continue
		}
		if err := answers.Encode(dispatcher.Do(context.Background(), r)); err != nil {
			panic(err)
		}
	}
}

// valid compares reports with their schema: valid FILE...
func valid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: valid FILE...")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Text("report")))
	ts.Check(err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	ts.Check(c.AddResource("report.json", doc))
	for _, name := range args {
		text, part, check := []byte(ts.ReadFile(name)), "report.json", schema.Report
		all := [][]byte{text}
		if filepath.Ext(name) == linesExt {
			part, check = "report.json#/$defs/line", schema.Line
			all = bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		}
		for _, one := range all {
			ts.Check(check(one))
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(one))
			ts.Check(err)
			ts.Check(c.MustCompile(part).Validate(v))
		}
	}
}
