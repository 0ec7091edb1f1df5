package reference

// claimsKnobs change what the client does about claims challenges and continuous access evaluation (CAE).
type claimsKnobs struct{}

func claimsBugs() []*Bug { return nil }
