package lab

import (
	"strconv"

	"github.com/fakeentra/fakeentra"
)

// Pages returns an act that lists the blobs of a container in pages of a size,
// as the service does when there are thousands.
func (l *Lab) Pages(size int) Act {
	return func(x *Exchange, next func() *Answer) *Answer {
		if x.Query().Get("comp") != "list" {
			return next()
		}
		u := *x.URL
		q := u.Query()
		q.Set("maxresults", strconv.Itoa(size))
		u.RawQuery = q.Encode()
		return l.ask(l.ctx, &u, x)
	}
}

// ContainerOf returns the URL of the container of one of the accounts.
func ContainerOf(a *fakeentra.StorageAccount) string { return a.Endpoint() + "/" + containerName }
