package report

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/conformance/suite"
)

// The parts of HAR 1.2 that viewers want.
type (
	har struct {
		Log harLog `json:"log"`
	}
	harLog struct {
		Version string     `json:"version"`
		Creator harCreator `json:"creator"`
		Entries []harEntry `json:"entries"`
	}
	harCreator struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	harEntry struct {
		Started  time.Time   `json:"startedDateTime"`
		Time     int64       `json:"time"`
		Request  harRequest  `json:"request"`
		Response harResponse `json:"response"`
		Cache    struct{}    `json:"cache"`
		Timings  harTimings  `json:"timings"`
		Comment  string      `json:"comment,omitempty"`
	}
	harRequest struct {
		Method      string    `json:"method"`
		URL         string    `json:"url"`
		HTTPVersion string    `json:"httpVersion"`
		Cookies     []harPair `json:"cookies"`
		Headers     []harPair `json:"headers"`
		Query       []harPair `json:"queryString"`
		Post        *harPost  `json:"postData,omitempty"`
		HeadersSize int       `json:"headersSize"`
		BodySize    int       `json:"bodySize"`
	}
	harPost struct {
		MIME string `json:"mimeType"`
		Text string `json:"text"`
	}
	harResponse struct {
		Status      int        `json:"status"`
		StatusText  string     `json:"statusText"`
		HTTPVersion string     `json:"httpVersion"`
		Cookies     []harPair  `json:"cookies"`
		Headers     []harPair  `json:"headers"`
		Content     harContent `json:"content"`
		Redirect    string     `json:"redirectURL"`
		HeadersSize int        `json:"headersSize"`
		BodySize    int        `json:"bodySize"`
	}
	harContent struct {
		Size int    `json:"size"`
		MIME string `json:"mimeType"`
		Text string `json:"text,omitempty"`
	}
	harTimings struct {
		Send    int   `json:"send"`
		Wait    int64 `json:"wait"`
		Receive int   `json:"receive"`
	}
	harPair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// HAR writes the exchanges of one check as an HTTP archive, for the viewers of
// browsers. Secrets are left out, as in the report.
func HAR(w io.Writer, r *suite.Report, result suite.Result) error {
	log := harLog{Version: "1.2", Creator: harCreator{"fakeentra conformance", r.Suite.Version}, Entries: []harEntry{}}
	began := r.Started
	for _, k := range result.Cases {
		for _, x := range k.Exchanges {
			log.Entries = append(log.Entries, harOf(began, k, x))
		}
		began = began.Add(time.Duration(k.Took) * time.Millisecond)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(har{log})
}

func harOf(began time.Time, k suite.CaseResult, x suite.Exchange) harEntry {
	e := harEntry{
		Started: began.Add(time.Duration(x.At) * time.Millisecond), Time: int64(x.Took), Timings: harTimings{Wait: int64(x.Took)},
		Request: harRequest{
			Method: x.Method, URL: harURL(x.URL), HTTPVersion: x.Proto, Cookies: []harPair{}, Headers: pairs(x.Header), Query: []harPair{}, HeadersSize: -1, BodySize: len(x.Body),
		},
		Response: harResponse{
			Status: x.Status, StatusText: http.StatusText(x.Status), HTTPVersion: x.Proto, Cookies: []harPair{}, Headers: pairs(x.Reply),
			Content: harContent{len(x.Answer), x.Reply.Get("Content-Type"), x.Answer}, Redirect: x.Reply.Get("Location"), HeadersSize: -1, BodySize: len(x.Answer),
		},
		Comment: x.Op,
	}
	if k.Name != "" {
		e.Comment += ", " + k.Name
	}
	if x.Fault != "" {
		e.Comment += ", answered as the check has it"
	}
	if u, err := url.Parse(x.URL); err == nil {
		for name, values := range u.Query() {
			for _, v := range values {
				e.Request.Query = append(e.Request.Query, harPair{name, v})
			}
		}
		sortPairs(e.Request.Query)
	}
	if x.Body != "" {
		e.Request.Post = &harPost{x.Header.Get("Content-Type"), x.Body}
	}
	return e
}

// harURL makes a URI of a URL in a report, in which words stand for secrets.
func harURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "about:invalid#" + url.PathEscape(text)
	}
	var query strings.Builder
	for _, c := range []byte(u.RawQuery) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>[]\^{|}`+"`", c) >= 0 {
			fmt.Fprintf(&query, "%%%02X", c)
		} else {
			query.WriteByte(c)
		}
	}
	u.RawQuery = query.String()
	return u.String()
}

func pairs(h http.Header) []harPair {
	out := []harPair{}
	for name, values := range h {
		for _, v := range values {
			out = append(out, harPair{name, v})
		}
	}
	sortPairs(out)
	return out
}

func sortPairs(p []harPair) {
	slices.SortStableFunc(p, func(a, b harPair) int { return strings.Compare(a.Name, b.Name) })
}
