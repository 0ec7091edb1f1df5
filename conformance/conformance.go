// Package conformance checks whether a client does the exchange of a managed
// identity's token for an application's as it should: any client, in any language,
// judged by what it sends.
//
// Package suite has the checks and runs them, package driver is what it takes to
// put a client to them, and package reference has a client that passes all of them.
package conformance
