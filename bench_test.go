package fakeentra_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/directory"
)

// These machines are noisy, so every benchmark measures a ceiling in the same
// run and reports the ratio to it:
//
//	go test -run '^$' -bench . -benchtime 3s .

// bareRSA are the operations that no exchange can do without.
type bareRSA struct {
	key       *rsa.PrivateKey
	digest    [32]byte
	signature []byte
}

var rsaOnce = sync.OnceValue(func() bareRSA {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	r := bareRSA{key: key, digest: sha256.Sum256([]byte("header.payload"))}
	if r.signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, r.digest[:]); err != nil {
		panic(err)
	}
	return r
})

func (r bareRSA) sign() {
	if _, err := rsa.SignPKCS1v15(nil, r.key, crypto.SHA256, r.digest[:]); err != nil {
		panic(err)
	}
}

func (r bareRSA) verify() {
	if err := rsa.VerifyPKCS1v15(&r.key.PublicKey, crypto.SHA256, r.digest[:], r.signature); err != nil {
		panic(err)
	}
}

// compare runs work and its ceiling in turns, on all processors, so that noise
// meets both, and returns how many times as long work takes. The time per
// operation that is reported is that of work alone.
func compare(b *testing.B, work, ceiling func()) float64 {
	b.Helper()
	var inWork, inCeiling atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			begin := time.Now()
			work()
			between := time.Now()
			ceiling()
			inWork.Add(int64(between.Sub(begin)))
			inCeiling.Add(int64(time.Since(between)))
		}
	})
	b.ReportMetric(float64(inWork.Load())/float64(b.N), "ns/op")
	return float64(inWork.Load()) / float64(inCeiling.Load())
}

// perSecond reports how often all processors together do what takes ns.
func perSecond(b *testing.B, what string, ratio float64, ceiling func()) {
	start, n := time.Now(), 0
	for time.Since(start) < 200*time.Millisecond {
		ceiling()
		n++
	}
	once := time.Since(start).Seconds() / float64(n)
	b.ReportMetric(float64(runtime.GOMAXPROCS(0))/(once*ratio), what)
}

// BenchmarkStart starts and closes a cloud. To reach: 0.3 ms.
func BenchmarkStart(b *testing.B) {
	ratio := compare(b, func() {
		c, err := fakeentra.New()
		if err != nil {
			b.Error(err)
			return
		}
		_ = c.Close()
	}, rsaOnce().sign)
	b.ReportMetric(ratio, "signatures")
}

// BenchmarkFirstList goes from nothing to the first list of blobs. Two tokens
// are signed and two verified on the way. To reach: 1.5 times that.
func BenchmarkFirstList(b *testing.B) {
	r := rsaOnce()
	newWorld(b).exchange(b) // the first cloud of a process parses the keys
	ratio := compare(b, func() {
		c := newWorld(b).exchange(b)
		if status, _ := c.list(b, c.access); status != http.StatusOK {
			b.Error(status)
		}
	}, func() { r.sign(); r.verify(); r.sign(); r.verify() })
	b.ReportMetric(ratio, "x-ceiling")
}

// BenchmarkExchange exchanges assertions on all processors. To reach: 0.85 of
// the throughput of bare signing and verifying.
func BenchmarkExchange(b *testing.B) {
	r := rsaOnce()
	c := newWorld(b).exchange(b)
	target, form := c.exchangeForm(c.assertion)
	ceiling := func() { r.sign(); r.verify() }
	ratio := compare(b, func() {
		if status, _, _ := c.do(b, "POST", target, "application/x-www-form-urlencoded", form); status != http.StatusOK {
			b.Error(status)
		}
	}, ceiling)
	b.ReportMetric(1/ratio, "of-ceiling")
	perSecond(b, "exchanges/s", ratio, ceiling)
}

// BenchmarkExchangeInALargeDirectory compares an exchange among a hundred
// thousand federated identity credentials with one among ten. To reach: within
// 5 %.
func BenchmarkExchangeInALargeDirectory(b *testing.B) {
	small, large := newWorld(b), newWorld(b)
	populate(small, 1, 10)
	populate(large, 5000, directory.MaxFederated)
	s, l := small.exchange(b), large.exchange(b)
	ratio := compare(b, func() { l.exchangeWith(b, l.assertion) }, func() { s.exchangeWith(b, s.assertion) })
	b.ReportMetric(ratio, "large/small")
}

// populate adds applications with credentials that match nothing.
func populate(w world, applications, credentials int) {
	for i := range applications {
		a := w.contoso.AddApplication(fmt.Sprintf("app%d", i))
		for j := range credentials {
			a.AddFederatedIdentityCredential(directory.FederatedIdentityCredential{
				Name: fmt.Sprintf("fic%d", j), Issuer: w.contoso.Issuer(), Subject: fmt.Sprintf("subject %d of %d", j, i), Audiences: []string{"api://AzureADTokenExchange"}})
		}
	}
}

// quiet answers every request with the same body: what net/http itself costs.
type quiet struct{}

func (quiet) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

// BenchmarkCachedIdentityToken asks IMDS for a token that it has. To reach:
// 50,000 answers a second on two processors.
func BenchmarkCachedIdentityToken(b *testing.B) {
	w := newWorld(b)
	ask := func(client *http.Client) {
		req, err := http.NewRequest(http.MethodGet, "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api%3A%2F%2FAzureADTokenExchange", nil)
		if err != nil {
			b.Error(err)
			return
		}
		req.Header.Set("Metadata", "true")
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Error(resp, err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	client, bare := w.vm.Client(), &http.Client{Transport: quiet{}}
	ask(client)
	ratio := compare(b, func() { ask(client) }, func() { ask(bare) })
	b.ReportMetric(ratio, "x-net/http")
	perSecond(b, "answers/s", ratio, func() { ask(bare) })
}
