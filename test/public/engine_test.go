// SPDX-License-Identifier: Apache-2.0

package public_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	promconfig "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/virtualtime"
)

const (
	// runTime is what one configuration may take, next to others.
	runTime = 20 * time.Second
	// atOnce is how many run side by side: some wait for discovery that finds nothing.
	atOnce = 8
)

// runner runs configurations on one scene, and on another one in which all of the cluster may be read.
type runner struct {
	engine      *scrapetest.Engine
	narrow, all *scene.Scene
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	spec := scene.Spec{Namespace: "default", Env: map[string]string{"JOBNAME": "demo", "NODE_NAME": "node-a"}, Manifests: []string{"cluster.yaml"}}
	narrow, err := spec.Load("testdata")
	require.NoError(t, err)
	spec.Manifests = append(spec.Manifests, "cluster-wide.yaml")
	all, err := spec.Load("testdata")
	require.NoError(t, err)
	return &runner{scrapetest.New(virtualtime.FromTest(t)), narrow, all}
}

// What becomes of each of them when it is run: what it would scrape, or why it cannot be. No configuration may end the process, hang, or
// fail with an error that says nothing.
func TestOutcomes(t *testing.T) {
	r := newRunner(t)
	all := publicFiles(t).configurations
	outcomes := make([]string, len(all))
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, c := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			start := time.Now()
			outcomes[i] = r.outcome(t, c)
			assert.Less(t, time.Since(start), runTime, c.name)
		})
	}
	wg.Wait()
	var out bytes.Buffer
	for i, c := range all {
		fmt.Fprintf(&out, "%s\n%s", c.name, outcomes[i])
	}
	compare(t, "testdata/public.outcomes", out.Bytes())
}

// outcome is one line for what a run gives, and one for each try that failed before.
func (r *runner) outcome(t *testing.T, c configuration) (lines string) {
	defer func() {
		if p := recover(); p != nil {
			assert.Fail(t, "a panic", "%s: %v\n%s", c.name, p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	line, err := r.run(ctx, c, r.narrow)
	var forbidden *scrapetest.ForbiddenError
	if errors.As(err, &forbidden) {
		// How much of it has been asked for by then differs from run to run.
		for _, d := range forbidden.Denials {
			assert.NotEmpty(t, d.Remedy, c.name)
		}
		lines = "  forbidden: " + strings.Join(deniedJobs(err), ", ") + "\n"
		line, err = r.run(ctx, c, r.all)
	}
	if err != nil && strings.Contains(err.Error(), "`runnerctl lint` says where") {
		assert.True(t, failed(check(c)), "%s: lint does not say where: %v", c.name, err)
	}
	why, judged := c.loads()
	switch {
	case err == nil && why != nil:
		return lines + "  " + line + "; Prometheus refuses it: " + c.shorten(why) + "\n"
	case err == nil:
		return lines + "  " + line + "\n"
	case judged && why == nil:
		return lines + "  error that Prometheus has not: " + c.shorten(err) + "\n"
	}
	return lines + "  error: " + c.shorten(err) + "\n"
}

var denied = regexp.MustCompile(`(?m)^job (.+), kubernetes_sd_configs: GET `)

// deniedJobs are the jobs whose discovery asks for what a Role in the namespace does not allow.
func deniedJobs(err error) []string {
	var names []string
	for _, m := range denied.FindAllStringSubmatch(err.Error(), -1) {
		names = append(names, m[1])
	}
	return slices.Compact(names)
}

// run runs a configuration, with a target of the scene in the place of what is discovered elsewhere.
func (r *runner) run(ctx context.Context, c configuration, s *scene.Scene) (string, error) {
	file, err := c.whole()
	if err != nil {
		return "", err
	}
	config, err := scrapetest.Load(file, s.Env)
	if err != nil {
		return "", err
	}
	jobs := config.Jobs()
	own := *s
	own.States = slices.Clone(s.States)
	own.States[0].Targets = discovered(jobs)
	result, err := r.engine.Run(ctx, config, &own)
	if err != nil {
		return "", err
	}
	kept, dropped := 0, 0
	for _, target := range result.Targets(result.Until) {
		if target.Kept() {
			kept++
		} else {
			dropped++
		}
	}
	return fmt.Sprintf("ran: jobs %d, targets %d, dropped %d, series %d", len(jobs), kept, dropped, len(result.Series)), nil
}

// discovered is what discovery that asks somebody outside of the scene has found.
func discovered(jobs []scrapetest.Job) map[string][]*targetgroup.Group {
	groups := map[string][]*targetgroup.Group{}
	for _, job := range jobs {
		if asksNetwork(job.Scrape.ServiceDiscoveryConfigs) {
			groups[job.Name] = []*targetgroup.Group{{Source: "elsewhere", Targets: []model.LabelSet{{model.AddressLabel: "192.0.2.1:80"}}}}
		}
	}
	return groups
}

// asksNetwork says whether a job's discovery asks somebody who is not in the scene.
func asksNetwork(configs discovery.Configs) bool {
	return slices.ContainsFunc(configs, func(c discovery.Config) bool {
		return !slices.Contains([]string{"static", "file", "kubernetes"}, c.Name())
	})
}

// loads is what Prometheus itself says, with the discovery that the distribution has. It is not asked about what is a collector's.
func (c configuration) loads() (err error, judged bool) {
	if file, err := configfile.Parse(c.path, c.text); err == nil && file.Kind == configfile.Collector {
		return nil, false
	}
	text := c.text
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("-")) {
		text = append([]byte("scrape_configs:\n"), text...)
	}
	loaded, err := promconfig.Load(string(text), slog.New(slog.DiscardHandler))
	if err != nil {
		return err, true
	}
	loaded.SetDirectory(filepath.Dir(c.path))
	_, err = loaded.GetScrapeConfigs()
	return err, true
}

// whole adds to a part of a collector's configuration what it needs to be run.
func (c configuration) whole() (*configfile.File, error) {
	file, err := configfile.Parse(c.path, c.text)
	if err != nil || file.Kind != configfile.Collector || configfile.Get(file.Root, "service") != nil {
		return file, err
	}
	var ids []string
	for key := range configfile.Pairs(configfile.Get(file.Root, "receivers")) {
		if configfile.IsPrometheusReceiver(key.Value) {
			ids = append(ids, key.Value)
		}
	}
	return configfile.Parse(c.path, fmt.Appendf(slices.Clone(c.text), "\nservice: {pipelines: {metrics: {receivers: [%s]}}}\n", strings.Join(ids, ", ")))
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// shorten makes an error the same on every machine.
func (c configuration) shorten(err error) string {
	folder := filepath.Dir(c.path)
	text := strings.ReplaceAll(err.Error(), c.path, filepath.Base(c.path))
	text = strings.ReplaceAll(text, folder, ".")
	return strings.Join(strings.Fields(address.ReplaceAllString(text, "127.0.0.1:0")), " ")
}
