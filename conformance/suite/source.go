package suite

// sourceChecks are about managed identity sources other than IMDS (SRC).
func sourceChecks() []*Check { return nil }
