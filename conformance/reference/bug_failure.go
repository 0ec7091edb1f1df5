package reference

// failureKnobs change what the client does about errors and retries at the token endpoint (ERR).
type failureKnobs struct{}

func failureBugs() []*Bug { return nil }
