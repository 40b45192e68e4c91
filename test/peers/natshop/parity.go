// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	parityTargets, parityRoutes = 9, 5
	parityInterval              = 2 * time.Second
	parityTime                  = 24 * time.Second
)

// parityPage has what a histogram and a counter of the runner's components look like, and what else the text format knows.
func parityPage(scrape int) string {
	return routesPage(parityRoutes, scrape) + fmt.Sprintf(`# TYPE response_status counter
response_status{status="2xx"} %[1]d
# TYPE queue_wait_seconds summary
queue_wait_seconds{quantile="0.5"} %[1]d.25
queue_wait_seconds{quantile="1"} NaN
queue_wait_seconds_sum %[1]d.5
queue_wait_seconds_count %[1]d
# TYPE size_bytes histogram
size_bytes_bucket{le="1"} %[1]d
size_bytes_bucket{le="1e+06"} %[2]d
size_bytes_bucket{le="+Inf"} %[2]d
size_bytes_sum %[1]d
size_bytes_count %[2]d
untyped_value{path="C:\\tools",note="a \"b\"\nc",empty=""} -%[1]d.125
# TYPE limit gauge
limit{kind="none"} +Inf
`, scrape, 2*scrape)
}

// compareParity lets the same configuration deliver over NATS and, unchanged, start our collector. With no fault both have to store the
// same. It returns what is different on purpose, and an error where anything else is.
func compareParity(ctx context.Context, dir string) (differences []string, err error) {
	t, stop, err := serveTargets(ctx, parityTargets, func(_ string, scrape int) string { return parityPage(scrape) })
	if err != nil {
		return nil, err
	}
	defer stop()
	var paths []*path
	defer func() {
		for _, p := range paths {
			p.discard()
		}
	}()
	for _, resource := range []bool{false, true} {
		old, err := newPath(core, filepath.Join(dir, fmt.Sprintf("old-%t", resource)), t,
			settings{Path: fmt.Sprintf("old-%t", resource), Interval: parityInterval, Resource: resource})
		if err != nil {
			return nil, err
		}
		paths = append(paths, old)
		unchanged, err := old.unchanged(filepath.Join(dir, fmt.Sprintf("ours-%t", resource)), t, resource)
		if err != nil {
			return nil, err
		}
		paths = append(paths, unchanged)
	}
	if err := each(paths, func(p *path) error { return p.start(ctx) }); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "parity: %s without a fault\n", parityTime)
	if err := sleep(ctx, parityTime); err != nil {
		return nil, err
	}
	t.close()
	if err := each(paths, func(p *path) error { return p.finish(ctx) }); err != nil {
		return nil, err
	}
	c := comparison{targets: t}
	for i := range len(paths) / 2 {
		if err := c.compare(ctx, paths[2*i], paths[2*i+1]); err != nil {
			return nil, err
		}
	}
	return c.explained, c.err()
}

// unchanged is our collector with the configuration of the old path's, but for where it is told to listen and what it scrapes as whom.
func (p *path) unchanged(dir string, t *targets, resource bool) (*path, error) {
	asked := fmt.Sprintf("ours-%t", resource)
	u, err := newPath(ours, dir, t, settings{Path: asked, Interval: parityInterval})
	if err != nil {
		return nil, err
	}
	s := settings{Path: asked, Interval: parityInterval, Resource: resource, Server: "127.0.0.1:4222"}
	s.Credentials = "/etc/nats/nats.creds" // not there, and not read
	for i, target := range t.names {
		s.Targets = append(s.Targets, exposed{target, t.address, components[i%len(components)]})
	}
	if s.Scrape, err = render("scrape.yaml", s); err != nil {
		return nil, err
	}
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	s.Health, s.TelemetryPort = addresses[0], portOf(addresses[1])
	config, err := u.write("legacy.yaml", s)
	if err != nil {
		return nil, err
	}
	u.collector = u.part("collector", collectorPath, "http://"+s.Health+"/", "--config="+config)
	u.collector.env = []string{"REMOTE_WRITE_URL=http://" + u.receiver + writePath, "LOG_DIRECTORY=" + filepath.Join(u.state, "log")}
	return u, nil
}
