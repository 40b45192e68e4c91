// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// bench is where the judges sit.
type bench struct {
	schemas  *schemas
	policies *policies
	allowed  *allowances
}

// judge gives everything that is wrong with one rendering.
func (b *bench) judge(ctx context.Context, kubernetes string, objects []Object) ([]Violation, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	violations, err := b.policies.judge(ctx, objects)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		violations = append(violations, b.schemas.validate(kubernetes, o)...)
		violations = append(violations, judgePod(o)...)
	}
	return append(violations, checkObjects(b.schemas, objects)...), nil
}

// minValuesFiles is how many values files the charts have that people install by themselves.
const minValuesFiles = 15

// judgeChart packs and lints a chart, and judges what it renders from each values file in each situation.
func judgeChart(ctx context.Context, s *source, b *bench, figures *Figures, report *report) {
	figures.ValuesFiles += len(s.valuesFiles)
	want := 1
	switch {
	case s.library:
		return // it renders nothing and is linted within the others
	case s.name == "runner", s.name == "otel":
		want = minValuesFiles
	}
	if len(s.valuesFiles) < want {
		report.add(Violation{Rule: ruleRender, Source: s.name + "/ci", Object: "*-values.yaml", Message: fmt.Sprintf("%d values files, of %d", len(s.valuesFiles), want)})
	}
	if err := judgePackage(s); err != nil {
		report.add(Violation{Rule: rulePackage, Source: s.name, Object: "the archive", Message: err.Error()})
	}
	var manifests atomic.Int64
	inParallel(s.valuesFiles, func(file string) {
		label := s.label(file)
		values, err := readValues(file)
		if err != nil {
			report.add(Violation{Rule: ruleRender, Source: label, Object: "the file", Message: err.Error()})
			return
		}
		lintChart(s, values, label, report)
		for _, in := range situations {
			objects, err := render(s, values, in, label)
			if err != nil {
				report.add(Violation{Rule: ruleRender, Source: label, Object: "Kubernetes " + in.kubernetes, Message: err.Error()})
				continue
			}
			manifests.Add(int64(len(objects)))
			violations, err := b.judge(ctx, in.kubernetes, objects)
			if err != nil {
				report.add(Violation{Rule: ruleRender, Source: label, Object: "the judges", Message: err.Error()})
				continue
			}
			report.add(b.allowed.without(violations)...)
		}
	})
	figures.Manifests += int(manifests.Load())
}

// lintChart is `helm lint --strict` with a values file.
func lintChart(s *source, values map[string]any, label string, report *report) {
	version, err := chartutil.ParseKubeVersion(kubernetesVersions[len(kubernetesVersions)-1])
	if err != nil {
		panic(err) // our own constant
	}
	for _, message := range lint.AllWithKubeVersion(s.dir, copyOf(values), releaseNamespace, version).Messages {
		if message.Severity >= support.WarningSev {
			report.add(Violation{Rule: ruleLint, Source: label, Object: message.Path, Message: message.Err.Error()})
		}
	}
}

// judgePackage looks into the archive that `helm package` writes: a schema that .helmignore drops protects nobody.
func judgePackage(s *source) error {
	dir, err := os.MkdirTemp("", "charts-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	packager := action.NewPackage()
	packager.Destination = dir
	archive, err := packager.Run(s.dir, nil)
	if err != nil {
		return err
	}
	packed, err := namesInArchive(archive)
	if err != nil {
		return err
	}
	schemas, err := filepath.Glob(filepath.Join(s.dir, "values.schema.json"))
	if err != nil {
		return err
	}
	if len(schemas) == 0 {
		return errors.New("the chart has no values.schema.json")
	}
	below, err := filepath.Glob(filepath.Join(s.dir, "charts", "*", "values.schema.json"))
	if err != nil {
		return err
	}
	for _, file := range append(schemas, below...) {
		name, err := filepath.Rel(filepath.Dir(s.dir), file)
		if err != nil {
			return err
		}
		if !packed[filepath.ToSlash(name)] {
			return fmt.Errorf("%s is not in it: look at .helmignore", name)
		}
	}
	return nil
}

func namesInArchive(file string) (map[string]bool, error) {
	f, err := os.Open(file) //nolint:gosec // written by judgePackage
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	reader := tar.NewReader(unzipped)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		names[strings.TrimPrefix(header.Name, "./")] = true
	}
}

// inParallel calls fn for each item, on all cores.
func inParallel[T any](items []T, fn func(T)) {
	queue := make(chan T)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for item := range queue {
				fn(item)
			}
		})
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	workers.Wait()
}
