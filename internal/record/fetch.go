// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

const (
	// maxPage is how long a page may be, in bytes: what the reference configuration scrapes at most.
	maxPage = 32 << 20
	// pageTimeout is how long a page may take, and dialTimeout a connection.
	pageTimeout, dialTimeout = 15 * time.Second, 3 * time.Second
	// maxSilent is how many addresses of pods may be silent before no other is tried: then there is no way to them from here.
	maxSilent = 3
	// acceptHeader is Prometheus's, without protobuf.
	acceptHeader = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
)

// answer is what a target answered.
type answer struct {
	status      int
	contentType string
	body        []byte
}

func (a *answer) mediaType() string {
	mediaType, _, _ := mime.ParseMediaType(a.contentType) // "" for what is none
	return mediaType
}

func (a *answer) isOpenMetrics() bool { return a.mediaType() == "application/openmetrics-text" }

// isPage says whether it can be a page of metrics in a text format. Prometheus takes text/plain for a page, whatever is in it.
func (a *answer) isPage() bool {
	return a.status == http.StatusOK && (a.isOpenMetrics() || a.mediaType() == "text/plain")
}

// fetcher asks for pages: at a pod's address, or through the API server, whichever works.
type fetcher struct {
	direct *http.Client
	proxy  *http.Client // to the API server; nil: there is no cluster
	server *url.URL     // of the API
	// fromInside says that the addresses of pods lead to these pods. From outside of the cluster they may lead to others.
	fromInside bool
	namespace  string

	silent    atomic.Int32 // addresses of pods that did not answer
	reached   atomic.Bool  // one did
	forbidden atomic.Bool  // pods/proxy is
}

func newFetcher(config *rest.Config, namespace string, inside bool) (*fetcher, error) {
	transport := &http.Transport{
		DialContext:       (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DisableKeepAlives: true,
		// No proxy: pods are asked for by their addresses.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // nothing is sent that has to be kept, and a pod's certificate is not for its address
	}
	f := &fetcher{direct: &http.Client{Transport: transport}, namespace: namespace, fromInside: inside}
	if config == nil {
		return f, nil
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	f.proxy, f.server = client, server
	return f, nil
}

// close ends connections that are kept for another request.
func (f *fetcher) close() {
	if f.proxy != nil {
		utilnet.CloseIdleConnectionsFor(f.proxy.Transport)
	}
}

// errUnreachable is a page that there is no way to.
var errUnreachable = errors.New("there is no way to it from here")

func (f *fetcher) fetch(ctx context.Context, t *target) (*answer, error) {
	if t.pod == "" {
		return f.get(ctx, f.direct, t.url.String())
	}
	ways := []func(context.Context, *target) (*answer, error){f.viaServer, f.viaAddress}
	if f.fromInside {
		ways[0], ways[1] = ways[1], ways[0]
	}
	var errs []error
	for _, way := range ways {
		a, err := way(ctx, t)
		if !errors.Is(err, errUnreachable) {
			return a, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// viaAddress asks the pod itself.
func (f *fetcher) viaAddress(ctx context.Context, t *target) (*answer, error) {
	if f.silent.Load() >= maxSilent && !f.reached.Load() {
		return nil, fmt.Errorf("%w: no pod answers at its address", errUnreachable)
	}
	a, err := f.get(ctx, f.direct, t.url.String())
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" && !isRefusal(err) {
		f.silent.Add(1)
		return nil, fmt.Errorf("%w: no answer at %s", errUnreachable, t.url.Host)
	}
	f.reached.Store(true)
	if err != nil && isRefusal(err) {
		err = errors.New("nothing listens there (connection refused), and so it is in the scene")
	}
	return a, err
}

// isRefusal says that the host is there and nothing listens.
func isRefusal(err error) bool { return strings.Contains(err.Error(), "connection refused") }

// viaServer asks through the API server, which needs get on pods/proxy.
func (f *fetcher) viaServer(ctx context.Context, t *target) (*answer, error) {
	if f.proxy == nil || f.forbidden.Load() {
		return nil, fmt.Errorf("%w: the account may not get pods/proxy", errUnreachable)
	}
	name := t.pod + ":" + portOf(t.url)
	if t.url.Scheme == "https" {
		name = "https:" + name
	}
	u := *f.server
	u.Path = strings.TrimSuffix(u.Path, "/") + "/api/v1/namespaces/" + f.namespace + "/pods/" + name + "/proxy" + t.url.Path
	u.RawQuery = t.url.RawQuery
	a, err := f.get(ctx, f.proxy, u.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	// A refusal of the API server is a Status; the pod's own answers are something else.
	var status metav1.Status
	if a.mediaType() != "application/json" || json.Unmarshal(a.body, &status) != nil || status.Kind != "Status" {
		return a, nil
	}
	if status.Code == http.StatusForbidden {
		f.forbidden.Store(true)
		return nil, fmt.Errorf("%w: the account may not get pods/proxy", errUnreachable)
	}
	return nil, fmt.Errorf("%w: the API server says: %s", errUnreachable, status.Message)
}

// get asks once, and reads at most maxPage bytes.
func (f *fetcher) get(ctx context.Context, client *http.Client, address string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", acceptHeader)
	request.Header.Set("User-Agent", "runnerctl")
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address, which the caller has
		}
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("the page did not come to its end: %w", err)
	}
	if len(body) > maxPage {
		return nil, fmt.Errorf("the page has more than %d MiB", maxPage>>20)
	}
	return &answer{status: response.StatusCode, contentType: response.Header.Get("Content-Type"), body: body}, nil
}
