// Package expect reads what a client is known not to meet, and holds a run of the
// conformance suite to it, in both directions: what is expected has to happen.
//
// An expectation is a table of a TOML file, which lies beside the driver as
// xfail.toml:
//
//	suite = ">=1.0"
//
//	[[expect]]
//	check   = "IMDS-10"              # or a pattern of path.Match, such as IMDR-*
//	assert  = "IMDS-10.followed"     # this condition alone may be unmet
//	case    = "302 Found to http"    # in this case of the check alone
//	outcome = "warn"                 # fail, warn, info, skip, inconclusive, timeout or error
//	reason  = "redirects are followed by the pipeline of the SDK"
//	issue   = "https://github.com/contoso/sdk/issues/1"
//	until   = 2027-06-30
//	when    = { "dependency:sdk-core" = "<2", wiring = "netns" }
//
// With sometimes = true it may also be met, by chance: a client that waits for a time
// which it draws may wait long enough. That is for what chance decides, and not for
// what nobody has looked into.
//
// Only check and reason are required. Without an outcome, the requirement is
// expected not to be met, whatever its level. The operators of versions are <, <=,
// >, >=, = and !=, with commas between them. Of a dependency's version, and that of
// the client itself, the first three numbers alone are compared: 2.0.0b1 is 2.0.0.
package expect
