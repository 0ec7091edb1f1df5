package imds

import (
	"net/http/httptest"
	"testing"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// The cached token, from the edge's door to the journal's entry.
func BenchmarkCachedToken(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		in := httptest.NewRequest("GET", fresh+"&client_id="+string(agentClient), nil)
		in.Header.Set("Metadata", "true")
		for pb.Next() {
			if resp, err := w.edge.Serve(w.Service, edge.Caller{Host: "vm1"}, in); err != nil || resp.Status != 200 {
				b.Errorf("%d, %v", resp.Status, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}
