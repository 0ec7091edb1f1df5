package reference

// authorityKnobs change what the client does about authorities, tenants and clouds (AUT).
type authorityKnobs struct{}

func authorityBugs() []*Bug { return nil }
