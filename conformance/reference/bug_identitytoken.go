package reference

// identityTokenKnobs change what the client does about the token of the managed identity (MIT).
type identityTokenKnobs struct{}

func identityTokenBugs() []*Bug { return nil }
