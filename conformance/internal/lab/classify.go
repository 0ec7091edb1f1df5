package lab

import (
	"net/http"
	"strings"
)

// TrapDomain is where no client should go: nothing but a redirect, a document or
// a challenge that must not be trusted leads there.
const TrapDomain = "trap.test"

const metadataHost = "169.254.169.254"

// hostname returns the name of a host without its port, in lower case.
func hostname(host string) string {
	name := strings.ToLower(host)
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !strings.HasSuffix(name, "]") {
		name = name[:i]
	}
	return strings.TrimSuffix(name, ".")
}

func (l *Lab) classify(x *Exchange) Op {
	name := hostname(x.URL.Host)
	switch {
	case x.Door == "proxy" && x.Method == http.MethodConnect:
		return Connect
	case x.Door == "proxy":
		return Proxy
	case x.Door == "endpoint":
		return EndpointToken
	case name == metadataHost && x.Door == "http":
		return at(x, "/metadata/identity/oauth2/token", IMDSToken, IMDSOther)
	case name == metadataHost || !l.Cloud.Knows(name) && name != PrivateHost:
		return Trap
	case x.Door == "http":
		return Cleartext
	case strings.Contains(name, ".blob."):
		return Blob
	}
	return login(x)
}

func login(x *Exchange) Op {
	path := strings.ToLower(x.URL.Path)
	switch {
	case strings.HasSuffix(path, "/oauth2/v2.0/token"), strings.HasSuffix(path, "/oauth2/token"):
		return Token
	case strings.HasSuffix(path, "/discovery/instance"):
		return InstanceDiscovery
	case strings.HasSuffix(path, "/openid-configuration"):
		return OpenIDConfig
	case strings.HasSuffix(path, "/keys"):
		return Keys
	}
	return STSOther
}

// at tells a path from all others. Clients are known to send // and a trailing
// slash.
func at(x *Exchange, path string, is, other Op) Op {
	segments := strings.FieldsFunc(x.URL.Path, func(r rune) bool { return r == '/' })
	if strings.EqualFold("/"+strings.Join(segments, "/"), path) {
		return is
	}
	return other
}

// Knows reports whether a host name leads to the lab. It is called from several
// goroutines.
func (l *Lab) Knows(name string) bool {
	name = hostname(name)
	return l.Cloud.Knows(name) || name == TrapDomain || strings.HasSuffix(name, "."+TrapDomain) || strings.HasPrefix(name, "metadata.azure.") ||
		name == PrivateHost || anyLoginHost(name)
}
