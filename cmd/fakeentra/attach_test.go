package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra/emulator/control"
)

// A planeOf answers as the control plane of a cloud that changes, and keeps what
// it was asked last.
type planeOf struct {
	info  atomic.Value // JSON
	asked atomic.Value
}

func (p *planeOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Store(r.URL.String())
	text := `{"entries": [], "dropped": {"entries": 0, "bytes": 0}}`
	if r.URL.Path == "/info" {
		text = p.info.Load().(string)
	}
	_, _ = w.Write([]byte(text))
}

func attach(t *testing.T, info string) (*attached, *planeOf) {
	t.Helper()
	p := &planeOf{}
	p.info.Store(info)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	a := &attached{plane: plane{url: server.URL, timeout: 10 * time.Second}}
	var err error
	if a.api, err = a.plane.client(); err != nil {
		t.Fatal(err)
	}
	if err := a.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a, p
}

func TestAnAttachedCloudMayGrow(t *testing.T) {
	a, p := attach(t, `{"environment": "public", "names": ["login.microsoftonline.com"]}`)
	for name, want := range map[string]bool{"login.microsoftonline.com": true, "westeurope.login.microsoft.com": true, "contoso.blob.core.windows.net": false} {
		if got := a.knows(name); got != want {
			t.Errorf("it knows %s: %v", name, got)
		}
	}
	p.info.Store(`{"names": ["contoso.blob.core.windows.net"]}`)
	if !a.knows("contoso.blob.core.windows.net") {
		t.Error("an account that was added later is not known")
	}
}

func TestTheJournalOfAnAttachedCloudBeginsWithTheCommand(t *testing.T) {
	a, p := attach(t, `{"host": "vm1", "requests": 7}`)
	for info, want := range map[string]string{`{"requests": 9}`: "/journal?after=7&host=vm1", `{"requests": 2}`: "/journal?host=vm1"} {
		p.info.Store(info)
		if _, err := a.journal(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.asked.Load()); diff != "" {
			t.Errorf("%s: it asks for (-want +got):\n%s", info, diff)
		}
	}
}

func TestDoorsOnEveryAddressAreWhereTheControlPlaneIs(t *testing.T) {
	a := &attached{plane: plane{url: "http://cloud.test:8090"}, info: control.Info{Doors: map[string]string{"https": "https://0.0.0.0:443", "imds": "http://[::]:80", "proxy": "http://10.0.0.1:8888"}}}
	for name, want := range map[string]string{"https": "cloud.test:443", "imds": "cloud.test:80", "proxy": "10.0.0.1:8888", "dns": ""} {
		if got := a.door(name); got != want {
			t.Errorf("%s is at %q, want %q", name, got, want)
		}
	}
}

func TestACloudThatIsGoneHasNoJournal(t *testing.T) {
	a, _ := attach(t, `{}`)
	a.plane.url = "http://127.0.0.1:1"
	a.api = control.NewClient(a.plane.url, nil)
	_, err := a.journal()
	if want := "cannot reach the control plane at http://127.0.0.1:1: connection refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %v", err, want)
	}
	if a.knows("login.example.com") {
		t.Error("it knows a name all the same")
	}
}
