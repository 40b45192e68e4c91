// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/node"
)

// window is a time in which a right is missing on purpose.
type window struct {
	namespace string
	from, to  time.Time // to is zero while it lasts
}

func (w window) holds(r node.Request, namespace string) bool {
	return namespace == w.namespace && !r.Began.Before(w.from) && (w.to.IsZero() || !r.Began.After(w.to))
}

// auditVerdict is what the audit log says about the service accounts of some namespaces.
type auditVerdict struct {
	// Requests is how many they made, by service account.
	Requests map[string]int
	// Outside are those for anything in another namespace, in all namespaces, or in none.
	Outside []string
	// Forbidden are those that were refused for want of a right, and Expected those of them in a window.
	Forbidden, Expected []string
	// Discovery are those for what every client may ask: the version, which kinds there are, and whether the server is well.
	Discovery map[string]int
}

// judgeAudit reads the requests of the service accounts of namespaces. A namespace is decided by the request and not by the
// answer: a list of all namespaces that was refused was asked for all the same.
func judgeAudit(requests []node.Request, namespaces []string, windows []window) auditVerdict {
	v := auditVerdict{Requests: map[string]int{}, Discovery: map[string]int{}}
	for _, r := range requests {
		namespace, account, found := r.ServiceAccount()
		if !found || !slices.Contains(namespaces, namespace) {
			continue
		}
		v.Requests[namespace+"/"+account]++
		switch {
		case r.Namespace == namespace:
		case r.Resource == "" && isDiscovery(r.URI):
			v.Discovery[r.URI]++
		default:
			v.Outside = append(v.Outside, line(r))
		}
		if r.Code != http.StatusForbidden {
			continue
		}
		if slices.ContainsFunc(windows, func(w window) bool { return w.holds(r, namespace) }) {
			v.Expected = append(v.Expected, line(r))
		} else {
			v.Forbidden = append(v.Forbidden, line(r))
		}
	}
	return v
}

// line is a request on one line.
func line(r node.Request) string { return fmt.Sprintf("%s %s %s: %d", r.User, r.Verb, r.URI, r.Code) }

// isDiscovery says whether a path is one of those that say what the API server is and has, and nothing of what is in it.
func isDiscovery(uri string) bool {
	path, _, _ := strings.Cut(uri, "?")
	switch {
	case path == "/version", path == "/api", path == "/apis", path == "/api/v1", path == "/livez", path == "/readyz":
		return true
	case strings.HasPrefix(path, "/openapi/"):
		return true
	}
	// /apis/GROUP and /apis/GROUP/VERSION, and nothing below.
	return strings.HasPrefix(path, "/apis/") && strings.Count(path, "/") <= 3
}

// expectForbidden says that from now on rights are missing in a namespace, on purpose.
func (w *world) expectForbidden(namespace string, from time.Time) {
	w.windows = append(w.windows, window{namespace: namespace, from: from})
}

// expectNoneForbidden ends what expectForbidden began.
func (w *world) expectNoneForbidden(namespace string, to time.Time) {
	for i := range w.windows {
		if w.windows[i].namespace == namespace && w.windows[i].to.IsZero() {
			w.windows[i].to = to
		}
	}
}
