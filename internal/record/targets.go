// SPDX-License-Identifier: Apache-2.0

package record

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
)

// target is a page to ask for.
type target struct {
	key string   // how scenes name it: pod/tool-manager-0:3001/metrics
	url *url.URL // where it is asked for
	pod string   // "" where it is not a pod's
	// guess says that nothing but a port suggests that there is a page.
	guess bool
}

func newTarget(u *url.URL, pod string) target {
	host := u.Hostname()
	if pod != "" {
		host = "pod/" + pod
	}
	return target{key: pageKey(host, portOf(u), u.RequestURI()), url: u, pod: pod}
}

// pageKey writes pod/NAME:PORT/PATH or HOST:PORT/PATH.
func pageKey(host, port, pathAndQuery string) string {
	return net.JoinHostPort(host, port) + pathAndQuery
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// Address is a page that the user names.
type Address struct {
	// Name is what a configuration calls the target: HOST, HOST:PORT, pod/NAME or pod/NAME:PORT; "" for the URL's own.
	Name string
	// URL is where its page is.
	URL *url.URL
}

// ParseAddress reads NAME=URL, or a URL.
func ParseAddress(text string) (Address, error) {
	name, address, named := strings.Cut(text, "=")
	if !named || strings.Contains(name, "://") { // the = is in the URL's query
		name, address = "", text
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return Address{}, fmt.Errorf("%q is no address of a page: use a URL such as http://127.0.0.1:9100/metrics, or NAME=URL", text)
	}
	if u.User != nil {
		return Address{}, fmt.Errorf("the address of %s holds credentials, which are not sent: leave them out, and record through a port that needs none", cmp.Or(name, u.Host))
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	u.Fragment = ""
	return Address{Name: name, URL: u}, nil
}

func (a Address) target() (target, error) {
	if a.Name == "" {
		return newTarget(a.URL, ""), nil
	}
	kind, rest, isPod := strings.Cut(a.Name, "/")
	if !isPod {
		rest = a.Name
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.Trim(rest, "[]"), portOf(a.URL)
	}
	if isPod && kind != "pod" || host == "" || strings.Contains(host, "/") {
		return target{}, fmt.Errorf("%q is no name of a target: use HOST:PORT or pod/NAME:PORT", a.Name)
	}
	if isPod {
		host = "pod/" + host
	}
	return target{key: pageKey(host, port, a.URL.RequestURI()), url: a.URL}, nil
}

// configured returns the targets that a configuration scrapes, as the engine finds them in the recorded objects.
func (r *recording) configured(ctx context.Context, pods []corev1.Pod) ([]target, error) {
	config, err := scrapetest.Load(r.Config, r.env)
	if err != nil {
		return nil, fmt.Errorf("%w (--env NAME=VALUE sets a variable of the configuration)", err)
	}
	spec := r.spec
	spec.Pages, spec.Steps = nil, nil
	loaded, err := spec.Load(r.Dir)
	if err != nil {
		return nil, err
	}
	result, err := r.Engine.Run(ctx, config, loaded)
	if err != nil {
		return nil, err
	}
	byAddress := podsByAddress(pods)
	var targets []target
	for _, found := range result.Targets(0) {
		if !found.Kept() {
			continue
		}
		u, err := url.Parse(found.URL)
		if err != nil {
			continue // the engine has made it
		}
		t := newTarget(u, byAddress[u.Hostname()])
		if ip := net.ParseIP(u.Hostname()); t.pod == "" && (ip.IsLoopback() || u.Hostname() == "localhost") {
			r.problem(t.key, "it is on the collector's own host", true)
			continue
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// podsByAddress returns the names of running pods. An address that several have, as with hostNetwork, is nobody's.
func podsByAddress(pods []corev1.Pod) map[string]string {
	names := map[string]string{}
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodRunning {
			continue
		}
		for _, ip := range pod.Status.PodIPs {
			if _, taken := names[ip.IP]; taken {
				names[ip.IP] = ""
				continue
			}
			names[ip.IP] = pod.Name
		}
	}
	return names
}

// The annotations by which pods ask to be scraped.
const (
	annotationScrape = "prometheus.io/scrape"
	annotationPort   = "prometheus.io/port"
	annotationPath   = "prometheus.io/path"
	annotationScheme = "prometheus.io/scheme"
)

// annotated returns the targets that running pods ask for by annotations, and for other pods each port that they declare.
func annotated(pods []corev1.Pod) []target {
	byAddress := podsByAddress(pods)
	var targets []target
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
			continue
		}
		asks := pod.Annotations[annotationScrape] == "true"
		ports := declaredPorts(pod)
		if port := pod.Annotations[annotationPort]; asks && port != "" {
			ports = []string{port}
		}
		path, err := url.Parse(cmp.Or(pod.Annotations[annotationPath], "/metrics"))
		if err != nil {
			path = &url.URL{Path: "/metrics"}
		}
		for _, port := range ports {
			u := &url.URL{
				Scheme: cmp.Or(pod.Annotations[annotationScheme], "http"), Host: net.JoinHostPort(pod.Status.PodIP, port),
				Path: "/" + strings.TrimPrefix(path.Path, "/"), RawQuery: path.RawQuery,
			}
			t := newTarget(u, byAddress[pod.Status.PodIP])
			t.guess = !asks
			targets = append(targets, t)
		}
	}
	return targets
}

// declaredPorts returns the TCP ports of a pod's containers that run.
func declaredPorts(pod *corev1.Pod) []string {
	var ports []string
	add := func(c *corev1.Container) {
		for _, p := range c.Ports {
			if port := strconv.Itoa(int(p.ContainerPort)); (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") && !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i])
	}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(c)
		}
	}
	return ports
}

// fileName makes the name of a page's file of its key: tool-manager-0-3001-metrics.
func fileName(key string) string {
	name := strings.TrimPrefix(key, "pod/")
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, name), "-.")
}
