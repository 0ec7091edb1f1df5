// Package driver is the protocol between the conformance suite and the small
// programs that drive clients under test, and what it takes to write one in Go.
//
// A driver reads requests from standard input and writes answers to standard
// output, each a line of JSON; standard error is its log. In a session it lives
// as long as a check and answers in order. A driver that cannot stay alive, such
// as a shell script, is called anew for each request and given the word "run";
// its exit code is 0 or 1 when it has answered, and 77 when it cannot do what it
// was asked for.
//
// Write nothing else to standard output, and flush it after each line.
//
// In Go, implement [Driver] and call [Main]; or give the Driver to
// conformance.Run in a test, which needs no process and no socket.
package driver
