package imds

import (
	"net/url"
	"slices"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// versions are the values of api-version that IMDS documents, oldest first.
var versions = []string{
	"2017-03-01", "2017-04-02", "2017-08-01", "2017-10-01", "2017-12-01",
	"2018-02-01", "2018-04-02", "2018-10-01", "2019-02-01", "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04",
	"2019-08-01", "2019-08-15", "2019-11-01", "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01", "2020-12-01",
	"2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01", "2021-08-01", "2021-10-01", "2021-11-01", "2021-11-15",
	"2021-12-13", "2023-07-01", "2023-11-15", "2024-03-15", "2024-07-17", "2025-04-07",
}

// The first versions of the categories (imds, section Endpoint categories), in
// the form that sorts by time. The page lets instance metadata begin with
// 2017-04-02, but lists 2017-03-01, which HashiCorp Nomad sends.
const (
	instanceSince     = "2017-03-01"
	identitySince     = "2018-02-01"
	attestedSince     = "2018-10-01"
	loadBalancerSince = "2020-10-01"
)

// since returns the versions of a category that began with one.
func since(first string) []string { return versions[slices.Index(versions, first):] }

// versioned reads a query with one of the versions of a category.
func versioned(r *edge.Request, among []string) (url.Values, *refusal) {
	query, no := parameters(r)
	if no != nil {
		return nil, no
	}
	return query, checkVersion(query, among)
}

// checkVersion refuses a query whose api-version is missing or not among those
// of the category, oldest first.
func checkVersion(query url.Values, among []string) *refusal {
	first, last := among[0], among[len(among)-1]
	switch v := query.Get("api-version"); {
	case v == "":
		return because("api-version", "api-version is missing; documented are %s to %s", first, last)
	case !slices.Contains(among, v):
		return because("api-version", "api-version=%s does not exist here; documented are %s to %s", v, first, last)
	}
	return nil
}
