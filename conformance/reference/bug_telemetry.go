package reference

// telemetryKnobs change what the client does about what clients say of themselves (TEL).
type telemetryKnobs struct{}

func telemetryBugs() []*Bug { return nil }
