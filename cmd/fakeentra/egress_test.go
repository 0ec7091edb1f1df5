package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/internal/sandbox"
)

func TestEgressIsByNameAndNeverToAzure(t *testing.T) {
	for words, want := range map[string]any{
		"none":                          []sandbox.Egress(nil),
		"api.example.com":               []sandbox.Egress{{Host: "api.example.com", Port: 443}, {Host: "api.example.com", Port: 80}},
		"API.example.com.,db.example:1": []sandbox.Egress{{Host: "api.example.com", Port: 443}, {Host: "api.example.com", Port: 80}, {Host: "db.example", Port: 1}},
		"none,api.example.com":          "expected none, or the names of hosts",
		"":                              "expected none, or the names of hosts",
		"169.254.169.254":               "expected none, or the names of hosts",
		"169.254.169.254:80":            "expected none, or the names of hosts",
		"0xa9fea9fe":                    "expected none, or the names of hosts",
		"2852039166":                    "expected none, or the names of hosts",
		"[::1]:443":                     "expected none, or the names of hosts",
		"::1":                           "expected none, or the names of hosts",
		"*.example.com":                 "expected none, or the names of hosts",
		"https://api.example.com":       "expected none, or the names of hosts",
		"api.example.com:0":             "expected a port from 1 to 65535",
		"api.example.com:https":         "expected a port from 1 to 65535",
		"api.example.com:53":            "and not that of DNS",
		"localhost:5432":                "which is no other host",
		"a.localhost":                   "which is no other host",
		"Login.MicrosoftOnline.us":      "a host of Azure",
		"x.queue.core.windows.net":      "a host of Azure",
	} {
		e := egress{words: strings.Split(words, ",")}
		switch err := e.check(); want := want.(type) {
		case string:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", words, err, want)
			}
		case []sandbox.Egress:
			if diff := cmp.Diff(want, e.hosts); err != nil || diff != "" {
				t.Errorf("%q: %v, hosts (-want +got):\n%s", words, err, diff)
			}
		}
	}
}

func TestEgressRefusesAddressesOfThePlatform(t *testing.T) {
	for address, want := range map[string]error{
		"169.254.169.254:80": errPlatform, "[::ffff:169.254.169.254]:80": errPlatform, "[fe80::1]:80": errPlatform, "168.63.129.16:443": errPlatform, "0.0.0.0:443": errPlatform,
		"192.0.2.1:443": nil, "127.0.0.1:80": nil, "[2001:db8::1]:443": nil,
	} {
		if err := refusePlatform("tcp", address, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
}

func TestEgressSaysOnceWhatItDidNotReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e, here := egress{}, sandbox.Egress{Host: "localhost", Port: l.Addr().(*net.TCPAddr).Port}
	c, err := e.dial(t.Context(), here)
	if err != nil || c.Close() != nil || l.Close() != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := e.dial(t.Context(), here); err == nil {
			t.Error("a port that nobody listens on is reached")
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.dial(cancelled, sandbox.Egress{Host: "localhost", Port: 1}); err == nil {
		t.Error("a run that is over reaches a host")
	}
	if want := "localhost:" + strconv.Itoa(here.Port) + ": connection refused"; len(e.failed) != 1 || e.failed[0] != want {
		t.Errorf("%q, want %q", e.failed, want)
	}
}

func TestEgressPassesProxiesBy(t *testing.T) {
	e := egress{hosts: []sandbox.Egress{{Host: "api.example.com", Port: 443}, {Host: "api.example.com", Port: 80}, {Host: "db.example", Port: 5432}}}
	got := e.pass([]string{"A=B", "NO_PROXY=localhost", "no_proxy=localhost", "JAVA_TOOL_OPTIONS=-Dhttp.nonProxyHosts=localhost|127.* -Dx"})
	want := []string{"A=B", "NO_PROXY=localhost,api.example.com,db.example", "no_proxy=localhost,api.example.com,db.example", "JAVA_TOOL_OPTIONS=-Dhttp.nonProxyHosts=localhost|127.*|api.example.com|db.example -Dx"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}
