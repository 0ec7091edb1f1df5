// With this file in the package, the compiler lets functions have no body: those
// in fork_linux.go are linked to the runtime's.
