package blob

import "time"

// A version is a service version: the date in x-ms-version. Versions are
// compared as strings. The empty version is that of a request without one.
type version string

// Versions in which something changed that matters here (Microsoft: Versioning
// for Azure Storage; Authorize with Microsoft Entra ID).
const (
	versionErrorCode version = "2017-07-29" // errors carry x-ms-error-code
	versionBearer    version = "2017-11-09" // bearer tokens are accepted
	versionClientID  version = "2019-02-02" // x-ms-client-request-id is echoed
	versionChallenge version = "2019-12-12" // 401 with a challenge instead of 403, 404 and 409
	versionEncoded   version = "2021-02-12" // names that XML cannot hold are encoded
)

// wellFormed reports whether v is a date. Any date is taken, also one in the
// future: SDKs are ahead of every list that could be kept here.
func (v version) wellFormed() bool {
	_, err := time.Parse(time.DateOnly, string(v))
	return err == nil
}
