//go:build unix

package fakeentra_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fakeentra/fakeentra"
)

// challenged asks the endpoint of a host of Azure Arc for a token, and returns the
// file that it is to read.
func challenged(t *testing.T, h *fakeentra.Host) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01&resource=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Metadata", "true")
	resp, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return strings.TrimPrefix(resp.Header.Get("WWW-Authenticate"), "Basic realm=")
}

func TestKeyFilesAreTheUsersAndReadableWhateverTheUmaskIs(t *testing.T) {
	h := fakeentra.Start(t).AddHost("box", fakeentra.Arc)
	folder := t.TempDir()
	h.ShowKeyFolder(folder, folder)
	before := syscall.Umask(0o777)
	file := challenged(t, h)
	syscall.Umask(before)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode() != 0o640 || int(owner) != os.Geteuid() {
		t.Errorf("%s has the mode %v and belongs to %d; want 0640 and %d", file, info.Mode(), owner, os.Geteuid())
	}
}

// Clouds of one seed propose the same names for their files. What is there
// already stays, also if it is a link that leads elsewhere.
func TestKeyFilesReplaceNothing(t *testing.T) {
	folder, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	begin := func() (*fakeentra.Cloud, string) {
		cloud, err := fakeentra.New(fakeentra.WithSeed("shared"))
		if err != nil {
			t.Fatal(err)
		}
		h := cloud.AddHost("box", fakeentra.Arc)
		h.ShowKeyFolder(folder, folder)
		return cloud, challenged(t, h)
	}
	first, taken := begin()
	before, err := os.ReadFile(taken)
	if err != nil {
		t.Fatal(err)
	}
	second, other := begin()
	if other == taken || read(t, taken) != string(before) || read(t, other) == "" {
		t.Errorf("the second cloud wrote to %s, and %s has another key: %v", other, taken, read(t, taken) != string(before))
	}
	if err := second.Close(); err != nil || read(t, taken) != string(before) {
		t.Errorf("after the end of the second cloud: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(elsewhere, taken); err != nil {
		t.Fatal(err)
	}
	third, other := begin()
	if _, err := os.Lstat(elsewhere); other == taken || !os.IsNotExist(err) {
		t.Errorf("the third cloud wrote to %s, through the link %s: %v", other, taken, err)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || filepath.Join(folder, left[0].Name()) != taken {
		t.Errorf("left behind: %v, %v; want the link alone", left, err)
	}
}
