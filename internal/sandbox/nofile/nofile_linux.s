// With this file in the package, the compiler lets a function have no body: the
// one in nofile.go is linked to package syscall's.
