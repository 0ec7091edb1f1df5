package sandbox

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func exampleResolver() *resolver {
	r := newResolver(func(name string) bool { return name == "login.example.com" }, &leaks{})
	r.hostname, r.six = "build-7", []string{"six.example.com"}
	return r
}

// summary is the code of an answer and the addresses in it.
func summary(m *dns.Msg) string {
	words := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			words = append(words, rr.A.String())
		case *dns.AAAA:
			words = append(words, rr.AAAA.String())
		}
	}
	return strings.Join(words, " ")
}

func TestAnswersOfTheResolver(t *testing.T) {
	r := exampleResolver()
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"login.example.com.", dns.TypeA, "NOERROR 198.18.0.1"},
		{"LOGIN.Example.com.", dns.TypeA, "NOERROR 198.18.0.1"},
		{"login.example.com.", dns.TypeAAAA, "NOERROR"},
		{"login.example.com.", dns.TypeHTTPS, "NOERROR"},
		{"Six.example.com.", dns.TypeAAAA, "NOERROR 2001:2::1"},
		{"six.example.com.", dns.TypeA, "NOERROR"},
		{"localhost.", dns.TypeA, "NOERROR 127.0.0.1"},
		{"a.localhost.", dns.TypeA, "NOERROR 127.0.0.1"},
		{"build-7.", dns.TypeA, "NOERROR 127.0.0.1"},
		{"example.org.", dns.TypeA, "NXDOMAIN"},
		{"Example.org.", dns.TypeAAAA, "NXDOMAIN"},
		{"xlogin.example.com.", dns.TypeMX, "NXDOMAIN"},
	} {
		if got := summary(r.answer(new(dns.Msg).SetQuestion(c.name, c.qtype))); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.name, dns.TypeToString[c.qtype], got, c.want)
		}
	}
	want := []Leak{{Kind: "dns", Name: "example.org", Count: 2}, {Kind: "dns", Name: "xlogin.example.com", Count: 1}}
	if diff := cmp.Diff(want, r.leaks.list()); diff != "" {
		t.Errorf("leaks (-want +got):\n%s", diff)
	}
}

func TestTheResolverRefusesWhatIsNoQuestion(t *testing.T) {
	two := new(dns.Msg).SetQuestion("login.example.com.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	notify := new(dns.Msg).SetNotify("login.example.com.")
	for name, question := range map[string]*dns.Msg{"two questions": two, "no question": new(dns.Msg), "another operation": notify} {
		if got := summary(exampleResolver().answer(question)); got != "NOTIMP" {
			t.Errorf("%s: %s, want NOTIMP", name, got)
		}
	}
}

func TestTheResolverAnswersOverUDPAndTCP(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); exampleResolver().serve(ctx, udp, tcp) }()
	for network, address := range map[string]net.Addr{"udp": udp.LocalAddr(), "tcp": tcp.Addr()} {
		client := &dns.Client{Net: network}
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("login.example.com.", dns.TypeA), address.String())
		if err != nil {
			t.Errorf("%s: %v", network, err)
		} else if got := summary(reply); got != "NOERROR 198.18.0.1" {
			t.Errorf("%s: %s", network, got)
		}
	}
	cancel()
	<-done
	if _, err := tcp.Accept(); err == nil {
		t.Error("the listener is left open")
	}
}
