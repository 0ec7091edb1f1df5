package reference

// assertionKnobs change what the client does about the assertion at the token endpoint (AST).
type assertionKnobs struct{}

func assertionBugs() []*Bug { return nil }
