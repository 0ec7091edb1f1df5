package blob

import (
	"cmp"
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// putBlob is Put Blob for block blobs.
func putBlob(s *Service, c *call) (resp edge.Response, e *Error) {
	if c.header.Get("x-ms-blob-type") == "" {
		return resp, lacks("x-ms-blob-type")
	}
	made, e := c.newBlob(true)
	if e != nil {
		return resp, e
	}
	if made.content, e = c.body(maxContent); e != nil {
		return resp, e
	}
	made.properties.MD5 = cmp.Or(made.properties.MD5, md5Of(made.content))
	if e = s.create(c, &made, func(transaction) *Error { return nil }); e != nil {
		return resp, e
	}
	resp = c.created(made)
	resp.Header.Set("Content-MD5", md5Of(made.content))
	resp.Header.Set("x-ms-content-crc64", crc64Of(made.content))
	return resp, nil
}

// newBlob reads the header fields of a write that makes a blob.
func (c *call) newBlob(fromBody bool) (made blob, e *Error) {
	made = blob{name: c.at.blob, created: c.Now, modified: c.Now}
	if made.properties, e = c.stored(fromBody); e != nil {
		return made, e
	}
	made.metadata, e = metadataOf(c.Header)
	return made, e
}

// create stores a blob, new or in place of an old one, if the conditions of the
// request are met. prepare completes it under the store's lock and may refuse.
func (s *Service) create(c *call, made *blob, prepare func(transaction) *Error) *Error {
	k, e := c.conditions()
	if e != nil {
		return e
	}
	s.store.update(func(tx transaction) {
		if e = s.creatable(tx, c, k); e != nil {
			return
		}
		if e = prepare(tx); e != nil {
			return
		}
		if old, exists := tx.blob(c.at); exists {
			made.created = old.created
		}
		made.etag = tx.etag(c.Now)
		tx.unstage(c.at)
		tx.putBlob(c.at, *made)
	})
	return e
}

func (s *Service) creatable(tx transaction, c *call, k conditions) *Error {
	if _, ok := tx.container(c.at); !ok {
		return missingContainer(c.at)
	}
	old, exists := tx.blob(c.at)
	if exists && c.createOnly {
		return errOverwrite.because("the blob exists, and the caller may add blobs and not replace them: its roles lack %s", writeBlob.action)
	}
	return k.create(old.state(exists))
}

// created answers a write that made a blob.
func (c *call) created(made blob) edge.Response {
	resp := identify(c.answer(http.StatusCreated), made.state(true))
	resp.Header.Set("x-ms-request-server-encrypted", "true")
	return resp
}

// setBlobMetadata is Set Blob Metadata.
func setBlobMetadata(s *Service, c *call) (resp edge.Response, e *Error) {
	m, e := metadataOf(c.Header)
	if e != nil {
		return resp, e
	}
	resp, e = s.changeBlob(c, func(b *blob) { b.metadata = m })
	resp.Header.Set("x-ms-request-server-encrypted", "true")
	return resp, e
}

// storedFields are the fields that Set Blob Properties sets.
var storedFields = []string{
	"x-ms-blob-content-type", "x-ms-blob-content-encoding", "x-ms-blob-content-language",
	"x-ms-blob-content-disposition", "x-ms-blob-cache-control", "x-ms-blob-content-md5",
}

// setBlobProperties is Set Blob Properties. When one field is sent, those that
// are not are cleared.
func setBlobProperties(s *Service, c *call) (edge.Response, *Error) {
	p, e := c.stored(false)
	if e != nil {
		return edge.Response{}, e
	}
	sent := false
	for _, name := range storedFields {
		sent = sent || len(c.header.Values(name)) > 0
	}
	return s.changeBlob(c, func(b *blob) {
		if sent {
			b.properties = p
		}
	})
}

// changeBlob edits a blob that exists, if the conditions of the request are
// met, and answers with its new state.
func (s *Service) changeBlob(c *call, edit func(*blob)) (edge.Response, *Error) {
	var changed blob
	e := s.onBlob(c, func(tx transaction, old blob) {
		changed = old
		edit(&changed)
		changed.etag, changed.modified = tx.etag(c.Now), c.Now
		tx.putBlob(c.at, changed)
	})
	return identify(c.answer(http.StatusOK), changed.state(true)), e
}

// deleteBlob is Delete Blob.
func deleteBlob(s *Service, c *call) (edge.Response, *Error) {
	switch v := c.header.Get("x-ms-delete-snapshots"); v {
	case "", "include":
	case "only":
		return edge.Response{}, errNotEmulated.because("x-ms-delete-snapshots: only concerns snapshots, which are not emulated by fakeentra").ofHeader("x-ms-delete-snapshots", v)
	default:
		return edge.Response{}, errHeader.because("x-ms-delete-snapshots is %q; expected include or only", v).ofHeader("x-ms-delete-snapshots", v)
	}
	e := s.onBlob(c, func(tx transaction, _ blob) { tx.deleteBlob(c.at) })
	resp := c.answer(http.StatusAccepted)
	resp.Header.Set("x-ms-delete-type-permanent", "true")
	return resp, e
}

// onBlob calls change with a blob that exists, if the conditions of the request
// are met.
func (s *Service) onBlob(c *call, change func(transaction, blob)) *Error {
	k, e := c.conditions()
	if e != nil {
		return e
	}
	s.store.update(func(tx transaction) {
		var old blob
		if old, e = lookup(tx, c.at); e != nil {
			return
		}
		if e = k.write(old.state(true)); e == nil {
			change(tx, old)
		}
	})
	return e
}

// lookup finds a blob, or says what is missing.
func lookup(tx transaction, at place) (blob, *Error) {
	if b, ok := tx.blob(at); ok {
		return b, nil
	}
	if _, ok := tx.container(at); !ok {
		return blob{}, missingContainer(at)
	}
	return blob{}, errNoBlob.because("there is no blob %q in the container %s/%s", at.blob, at.account, at.container)
}
