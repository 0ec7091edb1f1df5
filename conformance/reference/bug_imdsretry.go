package reference

// imdsRetryKnobs change what the client does about retries of IMDS (IMDR).
type imdsRetryKnobs struct{}

func imdsRetryBugs() []*Bug { return nil }
