// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scene"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

const (
	// maxTargets and maxBytes bound a recording: how many pages a sample has, and how many bytes all pages come to.
	maxTargets, maxBytes = 2000, 1 << 30
	// maxSamples bounds how often is asked.
	maxSamples = 1000
	// parallel is how many pages are asked for at once.
	parallel = 8
	// namespaceVariable is what reference configurations take the namespace from.
	namespaceVariable = "RUNNER_NAMESPACE"

	manifestsFile, sceneFile, pagesDir = "manifests.yaml", "scene.yaml", "pages"
)

// Options say what is recorded.
type Options struct {
	// Dir is the folder that is written; it is made, or has to be empty unless Force is set.
	Dir   string
	Force bool
	// Cluster is where the objects are; nil for none. Inside says that the program runs there itself.
	Cluster *rest.Config
	Inside  bool
	// Namespace is whose objects are recorded.
	Namespace string
	// Addresses are pages to record as well, or in place of those of the cluster's targets with the same name.
	Addresses []Address
	// Config says which targets are recorded: exactly those that it scrapes. Nil: those with the annotations prometheus.io/*, and
	// every port that a pod declares and that answers with a page. Engine finds them out, with Env for the configuration's variables.
	Config *configfile.File
	Engine *scrapetest.Engine
	Env    map[string]string
	// Samples is how often is asked, 1 at least, with Interval from one to the next.
	Samples  int
	Interval time.Duration
	// Anonymise replaces values, and AnonymiseLabels the values of these labels.
	Anonymise       bool
	AnonymiseLabels []string
	// Progress is told about each sample; nil for nobody.
	Progress func(string)
}

// Problem is a target whose page is not recorded, though it should be.
type Problem struct {
	Target string `json:"target"`
	Why    string `json:"why"`
	// Unreachable says that there may be a page, to which there is no way from here.
	Unreachable bool `json:"unreachable"`
}

// Summary says what a recording has, and what it leaves out. It holds no value of what was recorded.
type Summary struct {
	// Dir is the folder, and Scene the scene's file in it.
	Dir   string `json:"dir"`
	Scene string `json:"scene"`
	// Samples is how often was asked.
	Samples int `json:"samples"`
	// Objects counts the objects of all samples by kind.
	Objects map[string]int `json:"objects"`
	// Pages counts the files of pages, Bytes their size.
	Pages int   `json:"pages"`
	Bytes int64 `json:"bytes"`
	// Redacted counts the distinct values that looked like secrets, by kind and place: "jwt in label auth".
	Redacted map[string]int `json:"redacted"`
	// LeftOut counts what was not written, by what it was: "annotation checksum/config".
	LeftOut map[string]int `json:"left_out"`
	// Anonymised says that the values are not those of the targets.
	Anonymised bool `json:"anonymised"`
	// Problems are the targets without a page.
	Problems []Problem `json:"problems"`
}

// recording is a recording on its way.
type recording struct {
	Options
	env      map[string]string
	fetcher  *fetcher
	client   kubernetes.Interface
	stripper stripper
	cleaner  pageCleaner

	spec     scene.Spec
	objects  map[string][]byte            // of the sample before
	bodies   map[string][sha256.Size]byte // of the sample before, by key of the page
	files    map[string]bool              // names of pages
	summary  Summary
	problems map[string]Problem // by target
	kinds    map[string]bool    // objects that were counted
}

// Run records. When the context is cancelled between two samples, what there is by then is a recording as well. An error leaves
// the folder without a scene file.
func Run(ctx context.Context, options Options) (*Summary, error) { //nolint:gocritic // called once
	r, err := newRecording(options)
	if err != nil {
		return nil, err
	}
	defer r.fetcher.close()
	ticks := time.NewTicker(max(options.Interval, time.Millisecond))
	defer ticks.Stop()
	for i := range options.Samples {
		if i > 0 {
			select {
			case <-ticks.C:
			case <-ctx.Done():
				return r.finish()
			}
		}
		err := r.sample(ctx, i)
		if err != nil && ctx.Err() != nil && i > 0 {
			return r.finish()
		}
		if err != nil {
			return nil, err
		}
	}
	return r.finish()
}

func newRecording(options Options) (*recording, error) { //nolint:gocritic // called once
	if options.Samples < 1 || options.Samples > maxSamples {
		return nil, fmt.Errorf("%d samples cannot be recorded: between 1 and %d can; change --duration or --interval", options.Samples, maxSamples)
	}
	for _, label := range options.AnonymiseLabels {
		if label == "le" || label == "quantile" || strings.HasPrefix(label, "__") {
			return nil, fmt.Errorf("label %q cannot be anonymised: buckets, quantiles and names have to stay", label)
		}
	}
	env := map[string]string{}
	if options.Cluster != nil {
		env[namespaceVariable] = options.Namespace
	}
	maps.Copy(env, options.Env)
	for name, value := range env {
		if kind := secrets.Find(value); kind != "" {
			return nil, fmt.Errorf("the value of %s looks like a secret (%s), and would be written to the scene: use another one, since nothing is sent anywhere", name, kind)
		}
	}
	redactor, leftOut := newRedactor(), tally{}
	r := &recording{
		Options: options, env: env,
		stripper: stripper{redactor: redactor, leftOut: leftOut},
		cleaner:  pageCleaner{redactor: redactor, leftOut: leftOut, pseudonyms: newPseudonyms(options.AnonymiseLabels)},
		spec:     scene.Spec{Namespace: options.Namespace, Env: env},
		objects:  map[string][]byte{}, bodies: map[string][sha256.Size]byte{}, files: map[string]bool{}, problems: map[string]Problem{}, kinds: map[string]bool{},
		summary: Summary{Dir: options.Dir, Objects: map[string]int{}, Anonymised: options.Anonymise},
	}
	if options.Anonymise {
		r.cleaner.anonymiser = newAnonymiser()
	}
	var err error
	if r.fetcher, err = newFetcher(options.Cluster, options.Namespace, options.Inside); err != nil {
		return nil, err
	}
	if options.Cluster != nil {
		if r.client, err = kubernetes.NewForConfigAndClient(options.Cluster, r.fetcher.proxy); err != nil {
			return nil, err
		}
	}
	return r, r.prepare()
}

// prepare makes the folder.
func (r *recording) prepare() error {
	entries, err := os.ReadDir(r.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 && !r.Force {
		return fmt.Errorf("%s is not empty: choose another folder, or write into it with --force", r.Dir)
	}
	return os.MkdirAll(filepath.Join(r.Dir, pagesDir), 0o750)
}

// sample records what there is now.
func (r *recording) sample(ctx context.Context, i int) error {
	step := scene.StepSpec{At: model.Duration(time.Duration(i) * r.Interval), Pages: map[string]scene.PageSpec{}}
	now := &snapshot{}
	if r.client != nil {
		var err error
		if now, err = r.stripper.take(ctx, r.client, r.Namespace); err != nil {
			return err
		}
		if err := r.keepObjects(now, i, &step); err != nil {
			return err
		}
	}
	targets, err := r.targets(ctx, now)
	if err != nil {
		return err
	}
	answers := r.ask(ctx, targets)
	if err := ctx.Err(); err != nil {
		return err
	}
	for j := range targets {
		if err := r.keepPage(&targets[j], &answers[j], i, step.Pages); err != nil {
			return err
		}
	}
	r.summary.Samples++
	if i == 0 {
		r.spec.Pages = step.Pages
	} else if len(step.Pages)+len(step.Delete)+len(step.Manifests) > 0 {
		r.spec.Steps = append(r.spec.Steps, step)
	}
	if r.Progress != nil {
		r.Progress(fmt.Sprintf("sample %d of %d: %d objects, %d pages, %d KiB", i+1, r.Samples, len(now.texts), r.summary.Pages, r.summary.Bytes>>10))
	}
	return nil
}

// keepObjects writes the objects that are new or have changed, and notes those that are gone.
func (r *recording) keepObjects(now *snapshot, i int, step *scene.StepSpec) error {
	var text strings.Builder
	for _, name := range now.names() {
		kind, _, _ := strings.Cut(name, "/")
		if !r.kinds[name] {
			r.kinds[name] = true
			r.summary.Objects[kind+"s"]++
		}
		if string(r.objects[name]) != string(now.texts[name]) {
			if text.Len() > 0 {
				text.WriteString("---\n")
			}
			text.Write(now.texts[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.objects)) {
		if _, there := now.texts[name]; !there {
			step.Delete = append(step.Delete, name)
		}
	}
	r.objects = now.texts
	if text.Len() == 0 {
		return nil
	}
	file := manifestsFile
	if i > 0 {
		file = fmt.Sprintf("manifests-%d.yaml", i+1)
		step.Manifests = []string{file}
	} else {
		r.spec.Manifests = []string{file}
	}
	return r.write(file, []byte(text.String()))
}

// targets returns what to ask, in order. What the user named comes in place of what has the same name.
func (r *recording) targets(ctx context.Context, now *snapshot) ([]target, error) {
	var targets []target
	for _, address := range r.Addresses {
		t, err := address.target()
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	found := annotated(now.pods)
	if r.Config != nil {
		var err error
		if found, err = r.configured(ctx, now.pods); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(append(targets, found...), func(t target) bool {
		twice := seen[t.key]
		seen[t.key] = true
		return twice
	}), r.checkTargets(len(found))
}

func (r *recording) checkTargets(n int) error {
	if n > maxTargets {
		return fmt.Errorf("%d targets are too many to record, at most %d are: choose some of them with --config", n, maxTargets)
	}
	return nil
}

// reply is an answer or why there is none.
type reply struct {
	*answer
	err error
}

// ask asks all targets, some at once.
func (r *recording) ask(ctx context.Context, targets []target) []reply {
	replies := make([]reply, len(targets))
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range targets {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			replies[i].answer, replies[i].err = r.fetcher.fetch(ctx, &targets[i])
		})
	}
	wg.Wait()
	return replies
}

// keepPage writes a page that is new or has changed.
func (r *recording) keepPage(t *target, reply *reply, i int, pages map[string]scene.PageSpec) error {
	a := reply.answer
	switch {
	case secrets.Find(t.key) != "":
		r.cleaner.leftOut.add("pages whose path looks like a secret", t.key)
		return nil
	case reply.err != nil && t.guess && !errors.Is(reply.err, errUnreachable):
		r.cleaner.leftOut.add("declared ports without an answer", t.key)
		return nil
	case reply.err != nil:
		r.problem(t.key, reply.err.Error(), errors.Is(reply.err, errUnreachable))
		return nil
	case t.guess && (!a.isPage() || !hasSample(a.body, a.isOpenMetrics())):
		r.cleaner.leftOut.add("declared ports that answer something else", t.key)
		return nil
	case a.status == 401 || a.status == 403:
		r.problem(t.key, fmt.Sprintf("it answers %d, and credentials are not sent", a.status), false)
		return nil
	case a.mediaType() == "":
		r.problem(t.key, "it answers without a Content-Type, which Prometheus does not take for a page", false)
		return nil
	case !a.isPage():
		pages[t.key] = scene.PageSpec{Text: "not recorded\n", Status: a.status, ContentType: a.mediaType()}
		return nil
	}
	body := r.cleaner.clean(t.key, a.body, a.isOpenMetrics())
	sum := sha256.Sum256(body)
	if r.bodies[t.key] == sum {
		return nil
	}
	r.bodies[t.key] = sum
	file := r.pageFile(t.key, i, a.isOpenMetrics())
	if r.summary.Bytes += int64(len(body)); r.summary.Bytes > maxBytes {
		return fmt.Errorf("the pages come to more than %d MiB: record fewer targets with --config, or for a shorter --duration", maxBytes>>20)
	}
	r.summary.Pages++
	pages[t.key] = scene.PageSpec{File: file}
	return r.write(filepath.FromSlash(file), body)
}

// pageFile is a name that no other page has: pages/tool-manager-0-3001-metrics.prom, and with -2 for the second sample.
func (r *recording) pageFile(key string, i int, openMetrics bool) string {
	suffix := ".prom"
	if openMetrics {
		suffix = ".om"
	}
	name := fileName(key)
	if i > 0 {
		name += fmt.Sprintf("-%d", i+1)
	}
	file := pagesDir + "/" + name + suffix
	for n := 2; r.files[file]; n++ {
		file = fmt.Sprintf("%s/%s_%d%s", pagesDir, name, n, suffix)
	}
	r.files[file] = true
	return file
}

// problem notes the first reason why a target has no page.
func (r *recording) problem(key, why string, unreachable bool) {
	if _, known := r.problems[key]; !known {
		r.problems[key] = Problem{key, why, unreachable}
	}
}

// finish writes the scene.
func (r *recording) finish() (*Summary, error) {
	for _, key := range slices.Sorted(maps.Keys(r.problems)) {
		r.summary.Problems = append(r.summary.Problems, r.problems[key])
	}
	r.summary.Redacted, r.summary.LeftOut = r.cleaner.redactor.found.counts(), r.cleaner.leftOut.counts()
	var b strings.Builder
	b.WriteString("# Recorded by runnerctl record.\n")
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(map[string]any{"scene": r.spec}), encoder.Close()); err != nil {
		return nil, err
	}
	r.summary.Scene = filepath.Join(r.Dir, sceneFile)
	return &r.summary, r.write(sceneFile, []byte(b.String()))
}

func (r *recording) write(file string, content []byte) error {
	return os.WriteFile(filepath.Join(r.Dir, file), content, 0o640) //nolint:gosec // for the group as well, as what is versioned is
}
