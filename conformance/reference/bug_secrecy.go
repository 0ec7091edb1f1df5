package reference

// secrecyKnobs change what the client does about secrets (SEC).
type secrecyKnobs struct{}

func secrecyBugs() []*Bug { return nil }
