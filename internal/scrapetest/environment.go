// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/confmap"
)

const (
	envScheme  = "env"
	textScheme = "text"
)

// textProvider gives the configuration itself.
type textProvider []byte

// Retrieve implements confmap.Provider.
func (p textProvider) Retrieve(context.Context, string, confmap.WatcherFunc) (*confmap.Retrieved, error) {
	return confmap.NewRetrievedFromYAML(p)
}

// Scheme implements confmap.Provider.
func (textProvider) Scheme() string { return textScheme }

// Shutdown implements confmap.Provider.
func (textProvider) Shutdown(context.Context) error { return nil }

// environment gives variables as confmap/provider/envprovider does, from a map instead of the process, and remembers what it has
// not got.
type environment struct {
	values map[string]string

	mu     sync.Mutex // guards wanted
	wanted map[string]bool
}

// Retrieve implements confmap.Provider.
func (e *environment) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	name, fallback, hasFallback := strings.Cut(strings.TrimPrefix(uri, envScheme+":"), ":-")
	value, ok := e.values[name]
	switch {
	case ok:
	case !hasFallback:
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.wanted == nil {
			e.wanted = map[string]bool{}
		}
		e.wanted[name] = true
	case fallback == "":
		return confmap.NewRetrieved("") // YAML would make null of it
	default:
		value = fallback
	}
	return confmap.NewRetrievedFromYAML([]byte(value))
}

// Scheme implements confmap.Provider.
func (*environment) Scheme() string { return envScheme }

// Shutdown implements confmap.Provider.
func (*environment) Shutdown(context.Context) error { return nil }

// missing are the variables that were asked for in vain, sorted.
func (e *environment) missing() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.wanted))
}
