package reference

// resourceKnobs change what the client does about the use of the token (RES).
type resourceKnobs struct{}

func resourceBugs() []*Bug { return nil }
