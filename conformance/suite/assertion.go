package suite

// assertionChecks are about the assertion at the token endpoint (AST).
func assertionChecks() []*Check { return nil }
