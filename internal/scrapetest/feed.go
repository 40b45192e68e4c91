// SPDX-License-Identifier: Apache-2.0

package scrapetest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// The receiver writes its configuration out and reads it again when it starts, so that discovery has to be something that YAML
// can name: feed_sd_configs, which only exists in this process.
func init() { discovery.RegisterConfig(&feedConfig{}) }

// feeds are the feeds of the runs that are under way, by identifier.
var (
	feeds  sync.Map
	feedID atomic.Uint64
)

// feed hands the receiver the target groups of one job that discovery has found before.
type feed struct {
	id string
	// groups receives what has changed; it belongs to a bubble.
	groups chan []*targetgroup.Group
}

func newFeed() *feed {
	f := &feed{id: strconv.FormatUint(feedID.Add(1), 10), groups: make(chan []*targetgroup.Group)}
	feeds.Store(f.id, f)
	return f
}

func (f *feed) close() { feeds.Delete(f.id) }

// feedConfig is a discovery.Config.
type feedConfig struct {
	ID string `yaml:"id"`
}

// Name implements discovery.Config.
func (*feedConfig) Name() string { return "feed" }

// NewDiscovererMetrics implements discovery.Config.
func (*feedConfig) NewDiscovererMetrics(prometheus.Registerer, discovery.RefreshMetricsInstantiator) discovery.DiscovererMetrics {
	return noMetrics{}
}

// NewDiscoverer implements discovery.Config.
func (c *feedConfig) NewDiscoverer(discovery.DiscovererOptions) (discovery.Discoverer, error) {
	f, ok := feeds.Load(c.ID)
	if !ok {
		return nil, fmt.Errorf("feed_sd_configs: no feed %q in this process: this discovery is not for configurations", c.ID)
	}
	return f.(*feed), nil
}

// Run implements discovery.Discoverer.
func (f *feed) Run(ctx context.Context, up chan<- []*targetgroup.Group) {
	for {
		select {
		case groups := <-f.groups:
			select {
			case up <- groups:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// send hands over groups, unless the receiver has ended.
func (f *feed) send(ctx context.Context, groups []*targetgroup.Group) {
	select {
	case f.groups <- groups:
	case <-ctx.Done():
	}
}

type noMetrics struct{}

// Register implements discovery.DiscovererMetrics.
func (noMetrics) Register() error { return nil }

// Unregister implements discovery.DiscovererMetrics.
func (noMetrics) Unregister() {}
