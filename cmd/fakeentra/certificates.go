package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/fakeentra/fakeentra"
)

// A certificateFolder is where serve puts what clients must trust, for other
// machines to see.
type certificateFolder struct {
	path  string // empty if there is none
	made  bool   // by this process, which then removes it
	files fakeentra.Certificates
}

// write makes the folder if it is not there.
func (c *certificateFolder) write(cloud *fakeentra.Cloud) error {
	if c.path == "" {
		return nil
	}
	err := os.Mkdir(c.path, 0o755)
	c.made = err == nil
	if c.made || errors.Is(err, fs.ErrExist) {
		c.files, err = cloud.WriteCertificates(c.path)
	}
	if err != nil {
		return failed("name a folder that can be written", "cannot write the certificates to %s: %v", c.path, cause(err))
	}
	return nil
}

// remove leaves nothing of a folder that this process made, but what others put
// there. In a folder that was there, the files stay.
func (c *certificateFolder) remove() {
	if !c.made {
		return
	}
	for _, name := range []string{c.files.CA, c.files.Bundle, c.files.TrustStore, c.files.NodeProxy, c.path} {
		_ = os.Remove(name) // not what is gone already, and not a folder that has other files
	}
}
