package suite

// resourceChecks are about the use of the token (RES).
func resourceChecks() []*Check { return nil }
