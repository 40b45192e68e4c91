// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	// maxPage bounds one page, in bytes and unpacked: a little more than the reference configuration scrapes.
	maxPage = 40 << 20
	// liveTimeout bounds the fetch of a live page.
	liveTimeout = 15 * time.Second
)

// acceptHeader is what a Prometheus server asks for, less protobuf, which no person could read in a recorded page.
const acceptHeader = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"

// Page is what a target answers.
type Page struct {
	// Key is how the scene names it.
	Key string
	// Status is the HTTP status, 200 where the scene says nothing.
	Status int
	// ContentType and Encoding are the headers.
	ContentType, Encoding string
	// Body is the content, as it is sent.
	Body []byte
	// Unpacked is the size of the content before it was compressed, in bytes.
	Unpacked int64
}

// entry is a page with its key taken apart.
type entry struct {
	key  string
	pod  string // a pattern of the pod's name; empty: host is it
	host string
	port string
	path string // with the query, if it has one
	page Page
}

type pages []entry

func (e *entry) matchesPod(name string) bool {
	if e.pod == "" {
		return false
	}
	ok, err := path.Match(e.pod, name)
	return err == nil && ok
}

// used says whether any state has a pod that the page is for.
func (e *entry) used(states []State) bool {
	for i := range states {
		for _, pod := range states[i].pods {
			if e.matchesPod(pod) {
				return true
			}
		}
	}
	return false
}

// isOf says whether the page is for a host, which is the address of a pod, or of none where pod is empty.
func (e *entry) isOf(host, pod string) bool {
	if e.pod != "" {
		return pod != "" && e.matchesPod(pod)
	}
	return e.host == host
}

// Page returns the page of a target: host as discovery gives its address, path with the query. The first one in the order of
// keys that fits is it, those without a `*` first, and one whose key has a query before one that has not. found is false when
// nothing of the scene listens there; a page with the status 404 is returned when something does and has not this path.
func (s *State) Page(host, port, pathAndQuery string) (page Page, found bool) {
	pod := s.pods[host]
	plainPath, _, _ := strings.Cut(pathAndQuery, "?")
	for _, wanted := range []string{pathAndQuery, plainPath} {
		for i := range s.pages {
			e := &s.pages[i]
			if e.port != port || !e.isOf(host, pod) {
				continue
			}
			found = true
			if e.path == wanted {
				return e.page, true
			}
		}
	}
	return Page{Status: http.StatusNotFound, Body: []byte("404 page not found\n")}, found
}

// loadPages reads the pages, on top of those of before.
func loadPages(dir string, specs map[string]PageSpec, before pages) (pages, error) {
	all := slices.Clone(before)
	for key := range specs {
		spec := specs[key]
		e, err := parseKey(key)
		if err != nil {
			return nil, err
		}
		if e.page, err = spec.load(dir); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		e.page.Key = key
		all = slices.DeleteFunc(all, func(old entry) bool { return old.key == key })
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b entry) int {
		if wildA, wildB := strings.Contains(a.pod, "*"), strings.Contains(b.pod, "*"); wildA != wildB {
			if wildA {
				return 1
			}
			return -1
		}
		return strings.Compare(a.key, b.key)
	})
	return all, nil
}

// parseKey takes pod/NAME:PORT/PATH, HOST:PORT/PATH or a URL apart.
func parseKey(key string) (*entry, error) {
	wrong := func(what string) error {
		return fmt.Errorf("%s: %s: write pod/NAME:PORT/PATH or HOST:PORT/PATH, such as pod/tool-manager-0:3001/metrics", key, what)
	}
	e := &entry{key: key}
	rest, isPod := strings.CutPrefix(withPort(key), "pod/")
	address, pathOnly, found := strings.Cut(rest, "/")
	if !found {
		return nil, wrong("no path")
	}
	e.path = "/" + pathOnly
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return nil, wrong("no port")
	}
	e.port = port
	if !isPod {
		e.host = host
		return e, nil
	}
	e.pod = host
	if _, err := path.Match(e.pod, ""); err != nil {
		return nil, wrong("not a pattern of names")
	}
	return e, nil
}

// withPort makes HOST:PORT/PATH of a URL.
func withPort(key string) string {
	u, err := url.Parse(key)
	port := map[string]string{"http": "80", "https": "443"}
	if err != nil || u.Host == "" || port[u.Scheme] == "" {
		return key
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port[u.Scheme])
	}
	return u.Host + u.RequestURI()
}

func (p *PageSpec) load(dir string) (Page, error) {
	page := Page{Status: p.Status, ContentType: p.ContentType, Body: []byte(p.Text), Unpacked: int64(len(p.Text))}
	if page.Status == 0 {
		page.Status = http.StatusOK
	}
	switch {
	case p.File != "":
		body, err := ReadFile(join(dir, p.File), maxPage)
		if err != nil {
			return Page{}, err
		}
		page.Body, page.Unpacked = body, int64(len(body))
		name, zipped := strings.CutSuffix(p.File, ".gz")
		if zipped {
			if page.Unpacked, err = unpackedSize(p.File, body); err != nil {
				return Page{}, err
			}
			page.Encoding = "gzip"
		}
		if page.ContentType == "" {
			page.ContentType = contentType(path.Ext(name))
		}
	case p.Live != "":
		return fetch(p.Live)
	case page.ContentType == "":
		page.ContentType = contentType("")
	}
	return page, nil
}

// unpackedSize unpacks once: whoever scrapes the page does it again, without a limit unless the configuration has one.
func unpackedSize(name string, body []byte) (int64, error) {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("%s is not gzip: %w: compress it, or take .gz off its name", name, err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(reader, maxPage+1))
	if err != nil {
		return 0, fmt.Errorf("%s is damaged gzip: %w: compress it again", name, err)
	}
	if n > maxPage {
		return 0, fmt.Errorf("%s has more than %d MiB when it is unpacked: is it the right file?", name, maxPage>>20)
	}
	return n, nil
}

func contentType(suffix string) string {
	switch suffix {
	case ".om":
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	case ".pb":
		return "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// fetch asks a live target once.
func fetch(address string) (Page, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return Page{}, fmt.Errorf("live: %q is no URL of a page: use one such as http://127.0.0.1:9100/metrics", address)
	}
	client := &http.Client{Timeout: liveTimeout}
	defer client.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		return Page{}, fmt.Errorf("live: %w", err)
	}
	request.Header.Set("Accept", acceptHeader)
	response, err := client.Do(request)
	if err != nil {
		return Page{}, fmt.Errorf("live: %w: is the target up?", err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return Page{}, fmt.Errorf("live: %s cannot be read to its end: %w", address, err)
	}
	if len(body) > maxPage {
		return Page{}, fmt.Errorf("live: the page of %s has more than %d MiB: is it the right address?", address, maxPage>>20)
	}
	return Page{Status: response.StatusCode, ContentType: response.Header.Get("Content-Type"), Body: body, Unpacked: int64(len(body))}, nil
}
