package suite

// secrecyChecks are about secrets (SEC).
func secrecyChecks() []*Check { return nil }
