package report

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// The parts of the page.
var (
	//go:embed page.html
	page string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// A pageCheck is what the page says of a check.
type pageCheck struct {
	ID, Title, Requirement, Provokes, Passes string
	Level                                    suite.Level
	Tags, Sources, Known                     []string
}

type pageData struct {
	Reports []*suite.Report   `json:"reports"`
	Checks  []pageCheck       `json:"checks"`
	Areas   map[string]string `json:"areas"` // titles
	Before  []*suite.Report   `json:"before,omitempty"`
	Digest  string            `json:"digest"` // of the catalogue that Checks are from
}

// HTML writes a page of its own, which loads nothing: a table of clients and
// checks, in which each cell opens what happened as a diagram. before holds earlier
// reports of the same clients, whose verdicts it compares with; it may be nil. Of a
// check that the catalogue does not have, it shows what the report says.
func HTML(w io.Writer, before []*suite.Report, reports ...*suite.Report) error {
	data := pageData{Reports: reports, Checks: []pageCheck{}, Areas: map[string]string{}, Before: verdictsOnly(before), Digest: suite.Digest()}
	var all []suite.Result
	there := map[string]bool{}
	for _, r := range reports {
		for _, result := range r.Results {
			if !there[result.ID] {
				there[result.ID] = true
				all = append(all, result)
			}
		}
	}
	slices.SortStableFunc(all, inOrder)
	for _, area := range areasOf(all) {
		for _, result := range all {
			if areaOf(result.ID) != area {
				continue
			}
			c := checkOf(result)
			data.Checks = append(data.Checks, pageCheck{c.ID, c.Title, c.Requirement, c.Provokes, c.Passes, c.Level, append([]string{}, c.Tags...), c.Sources, c.Known})
			if suite.Find(c.ID) != nil {
				data.Areas[area] = suite.AreaTitle(area)
			}
		}
	}
	packed, err := pack(data)
	if err != nil {
		return err
	}
	// No script runs but that of the page, and it may load nothing (CSP level 3).
	hash := sha256.Sum256([]byte(pageScript))
	_, err = strings.NewReplacer( // a template would link much more
		"{{hash}}", "sha256-"+base64.StdEncoding.EncodeToString(hash[:]), "{{style}}", pageStyle, "{{script}}", pageScript, "{{data}}", packed,
	).WriteString(w, page)
	return err
}

// pack compresses the data of a page, and writes it in characters that can end no
// element.
func pack(data pageData) (string, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if err := errors.Join(json.NewEncoder(z).Encode(data), z.Close()); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// verdictsOnly leaves the exchanges out.
func verdictsOnly(reports []*suite.Report) []*suite.Report {
	var out []*suite.Report
	for _, r := range reports {
		short := *r
		short.Results = nil
		for _, result := range r.Results {
			result.Cases = nil
			short.Results = append(short.Results, result)
		}
		out = append(out, &short)
	}
	return out
}
