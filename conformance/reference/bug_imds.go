package reference

import "net/http"

// imdsKnobs change what the client does about requests to IMDS.
type imdsKnobs struct {
	RedirectsOf string // a host whose redirects are followed
	Deaf        bool   // a caller that gives up is not heard while IMDS is asked
}

func imdsBugs() []*Bug {
	return []*Bug{
		{
			Check: "IMDS-02", What: "sends the header Metadata with another letter case, which another server might take",
			Break: func(k *knobs) {
				k.request(toIdentity, func(r *http.Request) { r.Header["Metadata"] = []string{"true", "true"} })
			},
		},
		{
			Check: "IMDS-10", What: "follows redirects of IMDS",
			Break: func(k *knobs) { k.RedirectsOf = "169.254.169.254" },
		},
	}
}
