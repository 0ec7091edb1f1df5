package reference

import (
	"net/http"

	"github.com/google/uuid"
)

func telemetryBugs() []*Bug {
	return []*Bug{
		{
			Check: "TEL-01", What: "has one client-request-id for its whole life",
			Break: func(k *knobs) {
				id := uuid.NewString()
				k.request(toToken, func(r *http.Request) { r.Header.Set("Client-Request-Id", id) })
			},
		},
		{
			Check: "TEL-02", What: "does not say its version",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) { r.Header.Del("X-Client-Ver") })
			},
		},
		{
			Check: "TEL-03", What: "leaves User-Agent to its HTTP library",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) { r.Header.Del("User-Agent") })
			},
		},
		{
			Check: "TEL-03", What: "says who runs it",
			Break: func(k *knobs) {
				k.request(toIdentity, func(r *http.Request) {
					if name := k.client.environ("USER"); name != "" {
						r.Header.Set("User-Agent", userAgent+" ("+name+")")
					}
				})
			},
		},
		{
			Check: "TEL-04", What: "gives every attempt a client-request-id of its own",
			Break: func(k *knobs) {
				k.request(toToken, func(r *http.Request) { r.Header.Set("Client-Request-Id", uuid.NewString()) })
			},
		},
	}
}
