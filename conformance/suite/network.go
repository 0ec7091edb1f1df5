package suite

// networkChecks are about networks and TLS (NET).
func networkChecks() []*Check { return nil }
