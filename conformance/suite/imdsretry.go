package suite

// imdsRetryChecks are about retries of IMDS (IMDR).
func imdsRetryChecks() []*Check { return nil }
