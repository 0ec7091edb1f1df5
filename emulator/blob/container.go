package blob

import (
	"net/http"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// identify adds the fields that say which state of a thing an answer is about.
func identify(resp edge.Response, st state) edge.Response {
	resp.Header.Set("ETag", st.etag)
	resp.Header.Set("Last-Modified", st.modified.UTC().Format(http.TimeFormat))
	return resp
}

func missingContainer(at place) *Error {
	return errNoContainer.because("there is no container %s in the account %s", at.container, at.account)
}

// createContainer is Create Container.
func createContainer(s *Service, c *call) (resp edge.Response, e *Error) {
	if e = c.unconditional(); e != nil {
		return resp, e
	}
	made := container{name: c.at.container, access: c.header.Get("x-ms-blob-public-access"), modified: c.Now}
	if made.metadata, e = metadataOf(c.Header); e != nil {
		return resp, e
	}
	switch made.access {
	case "", accessContainer, accessBlob:
	default:
		return resp, errHeader.because("x-ms-blob-public-access is %q; expected container or blob", made.access).ofHeader("x-ms-blob-public-access", made.access)
	}
	if made.access != "" && !c.account.PublicAccess {
		return resp, errPublicAccess.because("the account %s has no public access, so no container in it can be public", c.account.Name)
	}
	s.store.update(func(tx transaction) {
		if _, exists := tx.container(c.at); exists {
			e = errContainerExists.because("the container %s exists already", c.at)
			return
		}
		made.etag = tx.etag(c.Now)
		tx.putContainer(c.at, made)
	})
	return identify(c.answer(http.StatusCreated), made.state(true)), e
}

// getContainer is Get Container Properties and Get Container Metadata.
func getContainer(s *Service, c *call) (resp edge.Response, e *Error) {
	if e = c.unconditional(); e != nil {
		return resp, e
	}
	var found container
	var ok bool
	s.store.view(func(tx transaction) { found, ok = tx.container(c.at) })
	if !ok {
		return resp, missingContainer(c.at)
	}
	resp = identify(c.answer(http.StatusOK), found.state(true))
	found.metadata.addTo(resp)
	if c.comp() == "metadata" {
		return resp, nil
	}
	resp.Header.Set("x-ms-lease-status", "unlocked")
	resp.Header.Set("x-ms-lease-state", "available")
	resp.Header.Set("x-ms-has-immutability-policy", "false")
	resp.Header.Set("x-ms-has-legal-hold", "false")
	resp.Header.Set("x-ms-default-encryption-scope", "$account-encryption-key")
	resp.Header.Set("x-ms-deny-encryption-scope-override", "false")
	if found.access != "" {
		resp.Header.Set("x-ms-blob-public-access", found.access)
	}
	return resp, nil
}

// setContainerMetadata is Set Container Metadata.
func setContainerMetadata(s *Service, c *call) (resp edge.Response, e *Error) {
	m, e := metadataOf(c.Header)
	if e != nil {
		return resp, e
	}
	var changed container
	e = s.changeContainer(c, func(tx transaction, old container) {
		changed = old
		changed.metadata, changed.etag, changed.modified = m, tx.etag(c.Now), c.Now
		tx.putContainer(c.at, changed)
	})
	return identify(c.answer(http.StatusOK), changed.state(true)), e
}

// deleteContainer is Delete Container. The name can be used again at once; the
// real service refuses it for about half a minute.
func deleteContainer(s *Service, c *call) (edge.Response, *Error) {
	e := s.changeContainer(c, func(tx transaction, _ container) { tx.deleteContainer(c.at) })
	return c.answer(http.StatusAccepted), e
}

// changeContainer calls change if the container exists and the conditions of
// the request are met.
func (s *Service) changeContainer(c *call, change func(transaction, container)) *Error {
	k, e := c.onlyDates()
	if e != nil {
		return e
	}
	s.store.update(func(tx transaction) {
		old, ok := tx.container(c.at)
		if !ok {
			e = missingContainer(c.at)
		} else if e = k.write(old.state(true)); e == nil {
			change(tx, old)
		}
	})
	return e
}
