package fakeentra

import (
	"net/url"
	"slices"
	"strings"

	"github.com/fakeentra/fakeentra/internal/door"
	"github.com/fakeentra/fakeentra/internal/pki"
)

// The variables that hold options of a language, some of which are a cloud's and
// some somebody else's.
const (
	javaVariable = "JAVA_TOOL_OPTIONS"
	nodeVariable = "NODE_OPTIONS"
)

// An optionSyntax says how the options in a variable are told apart.
type optionSyntax struct {
	quotes string
	own    []string // parts of the options that lead to a cloud, or to another proxy
}

func syntaxOf(variable string) (optionSyntax, bool) {
	switch variable {
	case javaVariable:
		return optionSyntax{`"'`, []string{"-Djavax.net.ssl.trustStore", "-Dhttp.proxy", "-Dhttps.proxy", "-Dhttp.nonProxyHosts="}}, true
	case nodeVariable:
		return optionSyntax{`"`, []string{door.NodeProxyFile}}, true
	}
	return optionSyntax{}, false
}

// foreign returns the options that are somebody else's.
func (o optionSyntax) foreign(value string) string {
	all := o.split(value)
	rest := slices.DeleteFunc(slices.Clone(all), func(word string) bool {
		return slices.ContainsFunc(o.own, func(part string) bool { return strings.Contains(word, part) })
	})
	if len(rest) == len(all) {
		return value
	}
	return strings.Join(rest, " ")
}

// split splits options at white space outside quotes, and leaves quotes and
// backslashes where they are.
func (o optionSyntax) split(value string) []string {
	var open rune
	return strings.FieldsFunc(value, func(r rune) bool {
		switch {
		case open == 0 && strings.ContainsRune(o.quotes, r):
			open = r
		case open == r:
			open = 0
		}
		return open == 0 && (r == ' ' || r == '\t' || r == '\n')
	})
}

// javaOptions are for Java, which reads neither proxies nor certificates from
// the environment. Every Java program says on standard error that it picked them
// up.
func (d Doors) javaOptions(files Certificates) string {
	proxy, err := url.Parse(connectable(d.Proxy))
	if err != nil || d.Proxy == "" || files.TrustStore == "" {
		return ""
	}
	options := []string{"-Djavax.net.ssl.trustStore=" + javaWord(files.TrustStore), "-Djavax.net.ssl.trustStorePassword=" + pki.JKSPassword, "-Dhttp.nonProxyHosts=localhost|127.*"}
	for _, scheme := range []string{"http", "https"} {
		options = append(options, "-D"+scheme+".proxyHost="+proxy.Hostname(), "-D"+scheme+".proxyPort="+proxy.Port())
	}
	return strings.Join(options, " ")
}

// javaWord quotes a word of JAVA_TOOL_OPTIONS that has white space in it, as
// HotSpot reads them (Arguments::parse_options_buffer).
func javaWord(s string) string {
	if strings.ContainsAny(s, " \t") {
		return `"` + s + `"`
	}
	return s
}

// nodeOptions preload a module, with quotes as Node.js reads them
// (ParseNodeOptionsEnvVar).
func nodeOptions(module string) string {
	switch {
	case module == "":
		return ""
	case strings.ContainsAny(module, " \""):
		return `--require="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(module) + `"`
	}
	return "--require=" + module
}
