package suite

// telemetryChecks are about what clients say of themselves (TEL).
func telemetryChecks() []*Check { return nil }
