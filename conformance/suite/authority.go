package suite

// authorityChecks are about authorities, tenants and clouds (AUT).
func authorityChecks() []*Check { return nil }
