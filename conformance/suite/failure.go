package suite

// failureChecks are about errors and retries at the token endpoint (ERR).
func failureChecks() []*Check { return nil }
