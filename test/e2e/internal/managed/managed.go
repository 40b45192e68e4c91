// SPDX-License-Identifier: Apache-2.0

// Package managed is the managed Prometheus of the end-to-end test: a real one, outside of the cluster, behind the
// authentication that managed services ask for, and with the failures that they have.
package managed

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kubiyabot/otelcol-runner/internal/prombackend"
)

// State is how the service is.
type State int

// The states of a service.
const (
	// Up takes what it is sent.
	Up State = iota
	// Away has no port: a connection is refused.
	Away
	// Throttling answers every write with 429 and asks to come back in a second.
	Throttling
	// Failing answers every write with 503.
	Failing
)

const (
	// WritePath takes remote write. The rest of Prometheus's HTTP API is next to it.
	WritePath = "/api/v1/write"
	// IdentityPath issues tokens, as the managed identity endpoint of an Azure machine does.
	IdentityPath = "/identity"

	stopPatience = 10 * time.Second
)

// Service is a managed Prometheus that listens. Its methods may be called from several goroutines.
type Service struct {
	store   *prombackend.Backend
	address string
	token   string

	mu       sync.Mutex // guards what follows
	state    State
	server   *http.Server
	served   chan error
	answered map[int]int
	issued   int
}

// Start opens a store in dir and listens on a free port of host. The token that it asks for is made at random. What the
// store refuses is in the log, with its reason.
func Start(dir, host string, log io.Writer) (*Service, error) {
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := prombackend.Open(dir, prombackend.Options{Logger: logger})
	if err != nil {
		return nil, err
	}
	s := &Service{store: store, address: net.JoinHostPort(host, "0"), token: rand.Text(), answered: map[int]int{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return s, nil
}

// URL is where the service is, without a path.
func (s *Service) URL() string { return "http://" + s.address }

// Token is the bearer token that every request has to bring.
func (s *Service) Token() string { return s.token }

// Store is what has been stored, past the doors of the service.
func (s *Service) Store() *prombackend.Backend { return s.store }

// Answered is how many writes have been answered so far, by status.
func (s *Service) Answered() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	answered := map[int]int{}
	for status, n := range s.answered {
		answered[status] = n
	}
	return answered
}

// Issued is how many tokens the identity endpoint has issued.
func (s *Service) Issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued
}

// Become changes the state. When it returns, no request of the state before is being answered.
func (s *Service) Become(state State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == s.state {
		return nil
	}
	was := s.state
	s.state = state
	switch {
	case state == Away:
		return s.hangUp()
	case was == Away:
		return s.listen()
	}
	return nil
}

// Close hangs up and closes the store.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.state != Away {
		err = s.hangUp()
	}
	return errors.Join(err, s.store.Close())
}

// listen is called with mu held.
func (s *Service) listen() error {
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("the managed service cannot listen on %s: %w", s.address, err)
	}
	s.address = listener.Addr().String() // and it comes back to the port that it had
	s.server = &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: stopPatience, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	s.served = make(chan error, 1)
	go func(server *http.Server, served chan<- error) { served <- server.Serve(listener) }(s.server, s.served)
	return nil
}

// hangUp is called with mu held, which it gives up while requests end: they count themselves.
func (s *Service) hangUp() error {
	server, served := s.server, s.served
	s.mu.Unlock()
	defer s.mu.Lock()
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	err := server.Shutdown(ctx)
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == IdentityPath {
		s.issue(w)
		return
	}
	given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	known := found && subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) == 1
	if r.URL.Path != WritePath {
		if !known {
			http.Error(w, "no such token", http.StatusUnauthorized)
			return
		}
		s.store.Handler().ServeHTTP(w, r)
		return
	}
	counting := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	s.write(counting, r, known)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered[counting.status]++
}

func (s *Service) write(w http.ResponseWriter, r *http.Request, known bool) {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()
	switch {
	case !known:
		http.Error(w, "no such token", http.StatusUnauthorized)
	case state == Throttling:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
	case state == Failing:
		http.Error(w, "being upgraded", http.StatusServiceUnavailable)
	default:
		s.store.Handler().ServeHTTP(w, r)
	}
}

// issue answers as the managed identity endpoint of Azure App Service does, which the Azure SDK asks when the environment
// variable IDENTITY_ENDPOINT names it.
func (s *Service) issue(w http.ResponseWriter) {
	s.mu.Lock()
	s.issued++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{ // the client is gone if this fails
		"access_token": s.token, "token_type": "Bearer", "resource": "https://monitor.azure.com",
		"expires_on": fmt.Sprint(time.Now().Add(time.Hour).Unix()),
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
