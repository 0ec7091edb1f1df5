package blob

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/google/go-cmp/cmp"
)

var _ edge.Service = (*Service)(nil)

func TestHostNamesOfAccountsAreKnown(t *testing.T) {
	w := newWorld(t)
	for host, want := range map[string]bool{
		"contosodata.blob.core.windows.net": true, "ContosoData.Blob.Core.Windows.Net": true, "contosodata-secondary.blob.core.windows.net": true,
		"nowhere.blob.core.windows.net": false, "blob.core.windows.net": false, "contosodata": false, "contosodata.blob.core.windows.net.evil.example": false,
		"a.contosodata.blob.core.windows.net": false, "contosodata.dfs.core.windows.net": false, "": false,
	} {
		if got := w.Knows(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestAnyPortAndTheSecondaryEndpointCanBeRead(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	w.must(200, ask{request: "GET https://contosodata.blob.core.windows.net:8443/reports/a.txt"})
	w.must(200, ask{request: "GET https://contosodata-secondary.blob.core.windows.net/reports/a.txt"})
	if got := w.last().Facts[0].Value; got != "contosodata/reports/a.txt" {
		t.Errorf("the journal says %s", got)
	}
}

func TestAccountsAreChecked(t *testing.T) {
	w := newWorld(t)
	for _, a := range []Account{{Name: "contosodata", ResourceID: "/x"}, {Name: "ab", ResourceID: "/x"}, {Name: "Contoso", ResourceID: "/x"}, {Name: "contoso-data", ResourceID: "/x"}, {Name: "fresh"}} {
		if err := w.AddAccount(a); err == nil || !strings.Contains(err.Error(), a.Name) {
			t.Errorf("%+v: %v", a, err)
		}
	}
	var names []string
	for _, a := range w.Accounts() {
		names = append(names, a.Name)
	}
	if diff := cmp.Diff([]string{"contosodata", "contosopublic"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestContentCanBeProvidedWithoutHTTP(t *testing.T) {
	w := newWorld(t)
	for _, err := range []error{
		w.CreateContainer("contosodata", "reports", start), w.CreateContainer("contosodata", "reports", start),
		w.PutBlob("contosodata", "reports", "a.txt", []byte("hello"), "", start), w.PutBlob("contosodata", "fresh", "a.txt", nil, "", start),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{
		w.CreateContainer("nowhere", "reports", start), w.CreateContainer("contosodata", "Reports", start),
		w.PutBlob("nowhere", "reports", "a", nil, "", start), w.PutBlob("contosodata", "r", "a", nil, "", start), w.PutBlob("contosodata", "reports", "", nil, "", start),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	got := w.must(200, ask{request: "GET /reports/a.txt"})
	if got.body != "hello" || got.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%q %v", got.body, got.header)
	}
}

func TestResetForgetsEverything(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	account, _ := w.Account("contosodata")
	w.Reset()
	if w.Knows("contosodata.blob.core.windows.net") || len(w.Accounts()) != 0 {
		t.Error("the accounts are still there")
	}
	w.must(404, ask{request: "GET /reports/a.txt"})
	if err := w.AddAccount(account); err != nil {
		t.Fatal(err)
	}
	if got := w.must(404, ask{request: "GET /reports/a.txt"}); !strings.Contains(got.body, "ContainerNotFound") {
		t.Error(got.body)
	}
}

func TestEveryRouteIsDocumentedAndFound(t *testing.T) {
	w := newWorld(t)
	var shapes []string
	for _, route := range w.Routes() {
		if route.Source == "" || route.Fidelity == "" || route.Do == nil {
			t.Errorf("%+v", route)
		}
		shapes = append(shapes, strings.TrimSpace(fmt.Sprint(route.Op, " ", route.Method, " ", route.Path)))
	}
	want := []string{
		"blob.list-containers GET /?comp=list",
		"blob.create-container PUT /{container}?restype=container",
		"blob.get-container GET HEAD /{container}?restype=container&comp=metadata",
		"blob.set-container-metadata PUT /{container}?restype=container&comp=metadata",
		"blob.delete-container DELETE /{container}?restype=container",
		"blob.list-blobs GET /{container}?restype=container&comp=list",
		"blob.put PUT /{container}/{blob}",
		"blob.put-block PUT /{container}/{blob}?comp=block",
		"blob.put-block-list PUT /{container}/{blob}?comp=blocklist",
		"blob.get-block-list GET /{container}/{blob}?comp=blocklist",
		"blob.get GET /{container}/{blob}",
		"blob.head HEAD /{container}/{blob}",
		"blob.head GET HEAD /{container}/{blob}?comp=metadata",
		"blob.set-metadata PUT /{container}/{blob}?comp=metadata",
		"blob.set-properties PUT /{container}/{blob}?comp=properties",
		"blob.delete DELETE /{container}/{blob}",
		"blob.unknown",
	}
	if diff := cmp.Diff(want, shapes); diff != "" {
		t.Error(diff)
	}
}

func TestRequestsThatFitNowhereAreToldWhy(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	for _, tc := range []struct {
		request string
		want    int
		why     string
	}{
		{"GET /", 400, `comp="" means nothing on an account`},
		{"PUT /?comp=list", 405, "cannot be asked for with PUT"},
		{"POST /reports?restype=container", 405, "cannot be asked for with POST"},
		{"PATCH /reports/a.txt", 405, "cannot be asked for with PATCH"},
		{"GET /reports/a.txt?comp=everything", 400, `comp="everything" means nothing on a blob`},
		{"GET /reports/a.txt?restype=container", 400, "restype=container does not fit"},
		{"GET /reports?restype=queue", 400, "restype=queue does not fit"},
		{"GET https://nowhere.blob.core.windows.net/?comp=everything", 404, "known are: contosodata, contosopublic"},
	} {
		w.must(tc.want, ask{request: tc.request})
		if e := w.last(); e.Op != "blob.unknown" || !strings.Contains(e.Decision.Why, tc.why) {
			t.Errorf("%s: %s", tc.request, e)
		}
	}
}

func TestParametersAreFoundInAnyOrderAndCase(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "a.txt", "hello")
	for _, request := range []string{"GET /reports?comp=list&restype=container", "GET /reports/?RESTYPE=Container&Comp=LIST", "GET https://contosodata.blob.core.windows.net?comp=list"} {
		w.must(200, ask{request: request})
	}
}

func TestETagsAreTicksAndNeverRepeat(t *testing.T) {
	m, twin, other := newMemory("a"), newMemory("a"), newMemory("b")
	seen := map[string]bool{}
	for _, now := range []time.Time{start, start, start.Add(-time.Hour), start.Add(time.Hour), start.Add(time.Hour)} {
		tag := m.etag(now)
		if seen[tag] || tag != twin.etag(now) || tag == other.etag(now) || len(tag) != len(`"0x8D686838F9E8BA7"`) {
			t.Errorf("got %s", tag)
		}
		seen[tag] = true
	}
	// The recorded tag of Microsoft's page on bearer tokens is a time of 2019.
	if ticks := uint64(0x8D686838F9E8BA7); time.UnixMilli((int64(ticks)-ticksAt1970)/ticksPerMillisecond).UTC().Year() != 2019 {
		t.Error("the epoch of the ticks is wrong")
	}
}

// The value is the check of CRC-64/NVME, which has the polynomial of Azure.
func TestCRC64HasAzuresPolynomial(t *testing.T) {
	if got := crc64Of([]byte("123456789")); got != "iJh5CoYUi64=" {
		t.Error(got)
	}
}

func TestRequestsMayComeAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	w.put("reports", "shared", "hello")
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			name := fmt.Sprintf("/reports/%d", i)
			for range 10 {
				for _, a := range []ask{
					{request: "PUT " + name, header: block64, body: "hello"},
					{request: "PUT /reports/shared?comp=block&blockid=MQ==", body: "hello"},
					{request: "GET " + name},
					{request: "GET /reports?restype=container&comp=list"},
					{request: "GET /reports/shared?comp=blocklist&blocklisttype=all"},
					{request: "DELETE " + name},
				} {
					if got := w.do(a); got.status >= 300 {
						t.Errorf("%s: %d %s", a.request, got.status, got.body)
					}
				}
			}
		})
	}
	wait.Wait()
}
