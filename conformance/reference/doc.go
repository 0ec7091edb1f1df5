// Package reference is a client that passes every check of the conformance suite,
// and as many clients that are each wrong in one way, to prove that the checks can
// fail.
//
// The exchange is done by MSAL Go. What it leaves to its users, or does otherwise
// than the suite wants, is added around it: no redirect is followed, bodies are
// bounded and looked at before MSAL sees them, callers that want the same token
// wait for one exchange, transient failures are tried again with the waits that
// Microsoft documents, and the token of the managed identity is got by a client of
// its own.
package reference
