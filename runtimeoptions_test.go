package fakeentra_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
)

func TestOptionsOfACloudAreTakenOutOfAnEnvironment(t *testing.T) {
	for in, want := range map[string][]string{
		"NODE_OPTIONS=--max-old-space-size=512  --require=/t/fakeentra-node.cjs": {"NODE_OPTIONS=--max-old-space-size=512"},
		"NODE_OPTIONS=--require=/t/fakeentra-node.cjs":                           {},
		`NODE_OPTIONS=--require="/my files/fakeentra-node.cjs" --require=./it's`: {"NODE_OPTIONS=--require=./it's"},
		`NODE_OPTIONS=--require="./my module.cjs"  --trace-warnings `:            {`NODE_OPTIONS=--require="./my module.cjs"  --trace-warnings `},
		"JAVA_TOOL_OPTIONS=-Dhttp.proxyHost=corp -Xmx1g -Dhttps.proxyPort=1":     {"JAVA_TOOL_OPTIONS=-Xmx1g"},
		`JAVA_TOOL_OPTIONS='-Da=b  c' -Djavax.net.ssl.trustStore="/a b/t.jks"`:   {"JAVA_TOOL_OPTIONS='-Da=b  c'"},
		"JAVA_OPTIONS=-Dhttp.proxyHost=corp":                                     {"JAVA_OPTIONS=-Dhttp.proxyHost=corp"},
	} {
		if diff := cmp.Diff(want, fakeentra.CleanEnviron([]string{in})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestNodeOptionsAreQuotedAsNodeReadsThem(t *testing.T) {
	for module, want := range map[string]string{
		"/tmp/fakeentra-node.cjs": "NODE_OPTIONS=--require=/tmp/fakeentra-node.cjs",
		`C:\T\fakeentra-node.cjs`: `NODE_OPTIONS=--require=C:\T\fakeentra-node.cjs`,
		`C:\my "files"\m.cjs`:     `NODE_OPTIONS=--require="C:\\my \"files\"\\m.cjs"`,
	} {
		env := fakeentra.Doors{Proxy: "http://127.0.0.1:1"}.Environ(fakeentra.Certificates{NodeProxy: module})
		if got := env[len(env)-1]; got != want {
			t.Errorf("%s: %s, want %s", module, got, want)
		}
	}
}
