package reference

// networkKnobs change what the client does about networks and TLS (NET).
type networkKnobs struct{}

func networkBugs() []*Bug { return nil }
