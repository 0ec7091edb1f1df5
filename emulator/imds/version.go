package imds

import (
	"net/url"
	"slices"
)

// versions are the values of api-version that IMDS documents, oldest first.
// Those before identitySince serve instance metadata only; their list is that
// of older editions of the page.
var versions = []string{
	"2017-03-01", "2017-04-02", "2017-08-01", "2017-12-01",
	"2018-02-01", "2018-04-02", "2018-10-01", "2019-02-01", "2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04",
	"2019-08-01", "2019-08-15", "2019-11-01", "2020-06-01", "2020-07-15", "2020-09-01", "2020-10-01", "2020-12-01",
	"2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01", "2021-08-01", "2021-10-01", "2021-11-01", "2021-11-15",
	"2021-12-13", "2023-07-01", "2023-11-15", "2024-03-15", "2024-07-17", "2025-04-07",
}

// The first versions of the two categories, in the form that sorts by time.
const (
	instanceSince = "2017-03-01"
	identitySince = "2018-02-01"
)

// checkVersion refuses a query whose api-version is missing, not documented or
// older than since.
func checkVersion(query url.Values, since string) *refusal {
	switch v := query.Get("api-version"); {
	case v == "":
		return because("api-version", "api-version is missing; add api-version=%s", identitySince)
	case !slices.Contains(versions, v) || v < since:
		return because("api-version", "api-version=%s does not exist here; clients commonly send %s, and documented are %s to %s", v, identitySince, since, versions[len(versions)-1])
	}
	return nil
}
