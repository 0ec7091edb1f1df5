package suite

// cacheChecks are about token caches (CAC).
func cacheChecks() []*Check { return nil }
