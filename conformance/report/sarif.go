package report

import (
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// The parts of SARIF 2.1.0 that code scanning reads.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string          `json:"id"`
		Name       string          `json:"name"`
		Short      sarifText       `json:"shortDescription"`
		Full       sarifText       `json:"fullDescription"`
		Help       sarifText       `json:"help"`
		Properties sarifProperties `json:"properties"`
	}
	sarifProperties struct {
		Tags     []string `json:"tags"`
		Severity string   `json:"security-severity,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		Rule         string            `json:"ruleId"`
		Index        int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				Line int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
	}
)

// SARIF writes what checks of security found, for code scanning. file is the path
// of the driver in its repository, to which findings are attached.
func SARIF(w io.Writer, file string, reports ...*suite.Report) error {
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0"}
	for _, r := range reports {
		log.Runs = append(log.Runs, sarifOf(r, file))
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(log)
}

func sarifOf(r *suite.Report, file string) sarifRun {
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: "fakeentra conformance", Version: r.Suite.Version, URI: "https://github.com/fakeentra/fakeentra", Rules: []sarifRule{}}},
		Results: []sarifResult{},
	}
	for _, result := range r.Results {
		c := checkOf(result)
		if !c.Has("sec") {
			continue
		}
		help := c.Requirement
		if c.Passes != "" {
			help = c.Provokes + " It passes if: " + c.Passes + ". Sources: " + strings.Join(c.Sources, ", ")
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: c.ID, Name: c.Title, Short: sarifText{c.Title}, Full: sarifText{c.Requirement},
			Help:       sarifText{help},
			Properties: sarifProperties{Tags: append([]string{"security"}, c.Tags...), Severity: severity[c.Level]},
		})
		if !unmet(result.Verdict) {
			continue
		}
		for _, f := range findings(result) {
			run.Results = append(run.Results, sarifFinding(r, result, f, file, len(run.Tool.Driver.Rules)-1))
		}
	}
	return run
}

// severity is on the scale of CVSS, by which code scanning sorts.
var severity = map[suite.Level]string{suite.Must: "7.0", suite.Should: "4.0", suite.May: "2.0"}

func sarifFinding(r *suite.Report, result suite.Result, f finding, file string, rule int) sarifResult {
	level := map[suite.Level]string{suite.Must: "error", suite.Should: "warning", suite.May: "note"}[result.Level]
	out := sarifResult{
		Rule: result.ID, Index: rule, Level: level, Message: sarifText{client(r) + ": " + f.String()},
		Fingerprints: map[string]string{"condition/v1": strings.Join(slices.DeleteFunc([]string{r.Driver.Implementation.Name, f.in, f.ID}, func(s string) bool { return s == "" }), " / ")},
	}
	var l sarifLocation
	l.Physical.Artifact.URI, l.Physical.Region.Line = (&url.URL{Path: file}).String(), 1
	out.Locations = []sarifLocation{l}
	return out
}
