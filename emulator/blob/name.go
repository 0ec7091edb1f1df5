package blob

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fakeentra/fakeentra/internal/pattern"
)

// containerPattern is the rule of Microsoft's page "Naming and referencing
// containers, blobs, and metadata", apart from the length.
var containerPattern = pattern.New(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// reservedContainers have a dollar sign in their names.
var reservedContainers = []string{"$root", "$logs", "$web", "$blobchangefeed"}

func checkContainerName(name string) *Error {
	switch {
	case slices.Contains(reservedContainers, name):
		return nil
	case len(name) < 3 || len(name) > 63:
		return errNameLength.because("the container name %q has %d characters; expected 3 to 63", name, len(name))
	case !containerPattern.MatchString(name):
		return errName.because("the container name %q must consist of lower-case letters, digits and single hyphens between them", name)
	}
	return nil
}

// Limits on blob names, from the same page.
const (
	maxBlobName = 1024 // characters
	maxSegments = 254  // parts between slashes
)

func checkBlobName(name string) *Error {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxBlobName {
		return errNameLength.because("the blob name has %d characters; expected 1 to %d", n, maxBlobName)
	}
	if n := strings.Count(name, "/") + 1; n > maxSegments {
		return errName.because("the blob name has %d path segments; at most %d are allowed", n, maxSegments)
	}
	if !utf8.ValidString(name) {
		return errName.because("the blob name is not valid UTF-8")
	}
	return nil
}
