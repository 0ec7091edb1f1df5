package suite

// identityTokenChecks are about the token of the managed identity (MIT).
func identityTokenChecks() []*Check { return nil }
