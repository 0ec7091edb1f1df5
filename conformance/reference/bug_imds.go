package reference

import "net/http"

// imdsKnobs change what the client does about requests to IMDS.
type imdsKnobs struct {
	FollowIdentityRedirects bool
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
			Break: func(k *knobs) { k.FollowIdentityRedirects = true },
		},
	}
}
