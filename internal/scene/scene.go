// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"

	"github.com/kubiyabot/otelcol-runner/internal/kubeapi"
)

const (
	defaultNamespace      = "default"
	defaultServiceAccount = "otel-collector"
	namespaceVariable     = "RUNNER_NAMESPACE"
	// maxManifest bounds one file of objects, in bytes.
	maxManifest = 32 << 20
	// maxFiles bounds what a glob may match.
	maxFiles = 1000
)

// defaultStart is the time of the first scrape where nothing else is said.
var defaultStart = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Scene is a loaded scene: what there is at the start, and after each step.
type Scene struct {
	// Namespace is the runner's.
	Namespace string
	// Start is the time of the first scrape.
	Start time.Time
	// Env is what ${env:NAME} gives.
	Env map[string]string
	// States are what there is, in the order of their times. The first one's is 0.
	States []State
}

// State is what there is from a time on.
type State struct {
	// At is the time after the first scrape.
	At time.Duration
	// Cluster holds the objects, and answers as their API server.
	Cluster *kubeapi.Cluster
	// Targets replace what a job's discovery finds, by job.
	Targets map[string][]*targetgroup.Group

	pages pages
	pods  map[string]string // names by address
}

// Load reads the files of a scene. dir is the folder that paths are relative to. An error names the file, or the key.
func (s *Spec) Load(dir string) (*Scene, error) {
	loaded := &Scene{Namespace: s.Namespace, Start: s.Start, Env: s.Env}
	if loaded.Namespace == "" {
		loaded.Namespace = s.Env[namespaceVariable]
	}
	if loaded.Namespace == "" {
		loaded.Namespace = defaultNamespace
	}
	if loaded.Start.IsZero() {
		loaded.Start = defaultStart
	}
	if loaded.Start.Year() < 2001 {
		return nil, fmt.Errorf("scene::start: %s is too early: use a time of this century, such as 2026-01-01T00:00:00Z", loaded.Start.Format(time.RFC3339))
	}
	account := s.ServiceAccount
	if account == "" {
		account = defaultServiceAccount
	}
	objects, err := loadManifests(dir, s.Manifests)
	if err != nil {
		return nil, fmt.Errorf("scene::manifests: %w", err)
	}
	first := State{}
	if first.Cluster, err = kubeapi.NewCluster(objects, kubeapi.Options{Namespace: loaded.Namespace, ServiceAccount: account}); err != nil {
		return nil, fmt.Errorf("scene::manifests: %w", err)
	}
	if first.pages, err = loadPages(dir, s.Pages, nil); err != nil {
		return nil, fmt.Errorf("scene::pages::%w", err)
	}
	if first.Targets, err = groups(s.Targets, nil); err != nil {
		return nil, fmt.Errorf("scene::targets::%w", err)
	}
	first.pods = podsByAddress(first.Cluster)
	loaded.States = []State{first}
	for i := range s.Steps {
		next, err := s.Steps[i].load(dir, &loaded.States[i])
		if err != nil {
			return nil, fmt.Errorf("scene::steps[%d]::%w", i, err)
		}
		loaded.States = append(loaded.States, *next)
	}
	return loaded, nil
}

func (s *StepSpec) load(dir string, before *State) (*State, error) {
	next := State{At: time.Duration(s.At), Cluster: before.Cluster}
	if next.At <= before.At {
		return nil, fmt.Errorf("at: %s is not after the one before, %s: put the steps in order", s.At, model.Duration(before.At))
	}
	objects, err := loadManifests(dir, s.Manifests)
	if err != nil {
		return nil, fmt.Errorf("manifests: %w", err)
	}
	if len(objects) > 0 {
		if next.Cluster, err = next.Cluster.With(objects); err != nil {
			return nil, fmt.Errorf("manifests: %w", err)
		}
	}
	if len(s.Delete) > 0 {
		if next.Cluster, err = next.Cluster.Without(s.Delete...); err != nil {
			return nil, fmt.Errorf("delete: %w", err)
		}
	}
	if next.pages, err = loadPages(dir, s.Pages, before.pages); err != nil {
		return nil, fmt.Errorf("pages::%w", err)
	}
	if next.Targets, err = groups(s.Targets, before.Targets); err != nil {
		return nil, fmt.Errorf("targets::%w", err)
	}
	next.pods = podsByAddress(next.Cluster)
	return &next, nil
}

func podsByAddress(cluster *kubeapi.Cluster) map[string]string {
	names := map[string]string{}
	for _, pod := range cluster.Pods() {
		for _, ip := range pod.Status.PodIPs {
			names[ip.IP] = pod.Name
		}
		names[pod.Status.PodIP] = pod.Name
	}
	return names
}

// At is the last state that has begun at a time after the first scrape.
func (s *Scene) At(t time.Duration) *State {
	i := len(s.States) - 1
	for i > 0 && s.States[i].At > t {
		i--
	}
	return &s.States[i]
}

func loadManifests(dir string, patterns []string) ([]kubeapi.Object, error) {
	paths, err := expand(dir, patterns)
	if err != nil {
		return nil, err
	}
	var all []kubeapi.Object
	for _, path := range paths {
		text, err := ReadFile(path, maxManifest)
		if err != nil {
			return nil, err
		}
		objects, err := kubeapi.Parse(path, text)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

// expand returns the files that patterns match, each pattern's in the order of their names.
func expand(dir string, patterns []string) ([]string, error) {
	var paths []string
	for _, pattern := range patterns {
		path := join(dir, pattern)
		if !strings.ContainsAny(pattern, "*?[") {
			paths = append(paths, path)
			continue
		}
		matches, err := filepath.Glob(path)
		if err != nil {
			return nil, fmt.Errorf("%q: %w: mend the pattern", pattern, err)
		}
		if len(matches) == 0 {
			return nil, fmt.Errorf("%q matches no file in %s: check the pattern", pattern, dir)
		}
		paths = append(paths, matches...)
	}
	if len(paths) > maxFiles {
		return nil, fmt.Errorf("%d files, more than %d: narrow the patterns", len(paths), maxFiles)
	}
	return paths, nil
}

func join(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// groups converts what stands under `targets`, on top of what stood there before.
func groups(specs map[string][]TargetGroup, before map[string][]*targetgroup.Group) (map[string][]*targetgroup.Group, error) {
	all := make(map[string][]*targetgroup.Group, len(specs)+len(before))
	for job, list := range before {
		all[job] = list
	}
	for job, list := range specs {
		converted := []*targetgroup.Group{}
		for i, spec := range list {
			group := &targetgroup.Group{Source: fmt.Sprintf("scene/%d", i), Labels: model.LabelSet{}}
			for name, value := range spec.Labels {
				if !model.UTF8Validation.IsValidLabelName(name) {
					return nil, fmt.Errorf("%s[%d]::labels::%s: not a label name: use letters, digits and underscores", job, i, name)
				}
				group.Labels[model.LabelName(name)] = model.LabelValue(value)
			}
			for _, address := range spec.Targets {
				if address == "" {
					return nil, fmt.Errorf("%s[%d]::targets: an empty address: use host:port", job, i)
				}
				group.Targets = append(group.Targets, model.LabelSet{model.AddressLabel: model.LabelValue(address)})
			}
			converted = append(converted, group)
		}
		all[job] = converted
	}
	return all, nil
}

// Times are the times of the steps.
func (s *Scene) Times() []time.Duration {
	times := make([]time.Duration, 0, len(s.States))
	for i := range s.States {
		times = append(times, s.States[i].At)
	}
	return times
}

// Unused lists the pages for pods that no state has, sorted: a name that is mistyped, or of a pod that is gone.
func (s *Scene) Unused() []string {
	unused := map[string]bool{}
	for i := range s.States {
		for j := range s.States[i].pages {
			if p := &s.States[i].pages[j]; p.pod != "" && !p.used(s.States) {
				unused[p.key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(unused))
}
