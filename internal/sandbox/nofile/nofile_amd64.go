package nofile

// prlimit64 is the number of prlimit(2).
const prlimit64 = 302
