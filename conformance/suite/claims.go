package suite

// claimsChecks are about claims challenges and continuous access evaluation (CAE).
func claimsChecks() []*Check { return nil }
