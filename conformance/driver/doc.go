// Package driver is the protocol between the conformance suite and the small
// programs that drive clients under test, and what it takes to write one in Go.
//
// A driver reads requests from standard input and writes answers to standard
// output, each a line of JSON; standard error is its log. In a session it lives
// as long as a check and answers in order. Write nothing else to standard output,
// and flush it after each line.
//
// In Go, implement [Driver] and call [Main]; or give the Driver to
// conformance.Run in a test, which needs no process and no socket.
//
// Package schema has all messages as JSON Schemas; "fakeentra conform smoke" holds
// drivers to them.
//
// # Over HTTP
//
// A driver that cannot be a child process, such as one on a telephone, in a browser or
// in a device, may be started by others and answer over HTTP: each request is the body
// of a POST to /fcd, and the answer to it that of the response, with the status 200.
// "fakeentra conform run --driver URL" talks to it. It is told where things are by
// config.endpoints alone, and trusts ca_file by what its client has for that: nobody
// sets its variables. In Go, [Handler] answers.
//
// # One call for each request
//
// A driver that cannot stay alive, such as a shell script, is called anew for each
// request, with the word "run" as its last argument. It is asked hello, token,
// mi_token and resource, and nothing that would need a memory: all but hello carry
// the config that open has in a session, and checks that ask a client twice are
// skipped.
//
// Its exit code is 0 when it has answered; 1 when it failed, with the answer on
// standard output or, without one, the error's text on standard error; and 77 when
// it cannot do what it was asked for. Every other one is a crash.
//
// A script needs not read JSON: the request is also in variables, of which those
// that would be empty are not set.
//
//	FCD_ID, FCD_OP                          id (as it has to be answered) and op
//	FCD_CLOUD, FCD_TENANT, FCD_APP_CLIENT_ID, FCD_AUDIENCE
//	FCD_IDENTITY_KIND, FCD_IDENTITY_VALUE   config.identity
//	FCD_MI_SOURCE                           config.mi_source
//	FCD_AUTHORITY, FCD_IMDS, FCD_BLOB, FCD_CA_FILE  config.endpoints
//	FCD_SCOPE, FCD_CLAIMS                   of token; scopes have spaces between them
//	FCD_ACTION, FCD_URL                     of resource
//	FCD_RESOURCE                            of mi_token
//
// FCD_TENANT is that of the request, where it has one.
package driver
