package reference

// sourceKnobs change what the client does about managed identity sources other than IMDS (SRC).
type sourceKnobs struct{}

func sourceBugs() []*Bug { return nil }
