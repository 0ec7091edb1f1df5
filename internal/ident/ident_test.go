package ident

import "testing"

func TestGUIDDependsOnEveryPart(t *testing.T) {
	seen := map[string]string{}
	for name, id := range map[string]string{
		"base":           GUID("s", "tenant", "contoso"),
		"other seed":     GUID("t", "tenant", "contoso"),
		"other kind":     GUID("s", "host", "contoso"),
		"shifted border": GUID("s", "tenantc", "ontoso"),
	} {
		if !IsGUID(id) {
			t.Errorf("%s: %q is not a GUID", name, id)
		}
		if prev, dup := seen[id]; dup {
			t.Errorf("%s and %s have the same identifier %s", name, prev, id)
		}
		seen[id] = name
	}
	if a, b := GUID("s", "x"), GUID("s", "x"); a != b {
		t.Errorf("two calls gave %s and %s", a, b)
	}
}

// The pair was decoded from a real token; see token-service facts, uti claim.
func TestPackedMatchesTheUTIClaim(t *testing.T) {
	if got, want := Packed("7d1c2f60-5b3a-4e0e-9a41-0c2f5b6a7d00"), "YC8cfTpbDk6aQQwvW2p9AA"; got != want {
		t.Fatalf("Packed = %s, want %s", got, want)
	}
	if got := LittleEndian("not a guid"); got != nil {
		t.Fatalf("LittleEndian of rubbish = %x, want nil", got)
	}
}

func TestIsGUID(t *testing.T) {
	for in, want := range map[string]bool{
		"7d1c2f60-5b3a-4e0e-9a41-0c2f5b6a7d00":          true,
		"7D1C2F60-5B3A-4E0E-9A41-0C2F5B6A7D00":          true,
		"{7d1c2f60-5b3a-4e0e-9a41-0c2f5b6a7d00}":        false,
		"urn:uuid:7d1c2f60-5b3a-4e0e-9a41-0c2f5b6a7d00": false,
		"7d1c2f605b3a4e0e9a410c2f5b6a7d00":              false,
		"":                                              false,
	} {
		if got := IsGUID(in); got != want {
			t.Errorf("IsGUID(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestRequestIdentifiersLookLikeTheRealOnes(t *testing.T) {
	a, b := Request("s", 1), Request("s", 2)
	if a == b || !IsGUID(a) || a[34:] != "00" {
		t.Fatalf("Request(1) = %s, Request(2) = %s; want two GUIDs ending in 00", a, b)
	}
}
