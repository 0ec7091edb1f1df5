package driver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
)

// Handler answers requests over HTTP, for a driver that cannot be a child process of
// the runner: each request is the body of a POST to /fcd, and the answer to it that of
// the response. One is answered at a time. The clients that are open live as long as
// the Handler, unless they are closed.
func Handler(d Driver) http.Handler {
	dispatcher := NewDispatcher(d)
	var turn sync.Mutex
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fcd", func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine)).Decode(&request); err != nil {
			status := http.StatusBadRequest
			if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the request is not JSON: "+err.Error(), status)
			return
		}
		turn.Lock()
		defer turn.Unlock()
		// A runner that does not wait any more does not end what a caller does.
		answer := dispatcher.Do(context.WithoutCancel(r.Context()), request)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // it fails when the runner is gone
	})
	return mux
}
