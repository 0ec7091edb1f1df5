package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
)

// Handler answers requests over HTTP, for a driver that cannot be a child process of
// the runner: each request is the body of a POST to /fcd, of the media type
// application/json, and the answer to it that of the response. One is answered at a
// time. The clients that are open live as long as the Handler, unless they are closed.
//
// What the page of a browser sends is refused: whoever drives a client has it send
// requests and tokens.
func Handler(d Driver) http.Handler {
	dispatcher := NewDispatcher(d)
	var turn sync.Mutex
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fcd", func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			http.Error(w, fmt.Sprintf("the Content-Type is %q; expected application/json", r.Header.Get("Content-Type")), http.StatusUnsupportedMediaType)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			http.Error(w, fmt.Sprintf("the request comes from a page of %q; expected one of a runner, without Origin", origin), http.StatusForbidden)
			return
		}
		var request Request
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine))
		err := body.Decode(&request)
		if err == nil {
			if _, end := body.Token(); !errors.Is(end, io.EOF) {
				err = errors.New("something follows it")
			}
		}
		if err != nil {
			status := http.StatusBadRequest
			if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the request is no object in JSON: "+err.Error(), status)
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
