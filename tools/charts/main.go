// SPDX-License-Identifier: Apache-2.0

// The judges of the charts. They render every chart with every values file of its ci folder, as Helm does, and look at what comes out with the
// eyes of Kubernetes (its OpenAPI, its Pod Security), of platform teams (test/charts/policies), and their own. The last line of standard output
// is one JSON object; what is wrong is on standard error, each with a remedy.
//
//	cd tools/charts && go run . [-update] [-seed N] [-renderings N]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"
)

// Figures is the last line of standard output.
type Figures struct {
	ValuesFiles           int      `json:"values_files"`
	Manifests             int      `json:"manifests"`              // objects that were judged, each once for every version of Kubernetes
	Policies              int      `json:"policies"`               // rules in Rego; Pod Security and our own are not counted
	ViolationsPredecessor int      `json:"violations_predecessor"` // distinct rules that the predecessor breaks
	Violations            int      `json:"violations"`
	ClusterScoped         int      `json:"cluster_scoped"`
	MovingTags            int      `json:"moving_tags"`
	Secrets               int      `json:"secrets"`
	Kubernetes            []string `json:"kubernetes"`
	Fixtures              int      `json:"fixtures"`
	Branches              int      `json:"branches"`
	BranchesTaken         int      `json:"branches_taken"`
	CoveragePercent       float64  `json:"coverage_percent"`
	Refusals              int      `json:"refusals"` // values files that a chart has to refuse
	Golden                int      `json:"golden"`
	FuzzRenderings        int      `json:"fuzz_renderings"`
	FuzzRefused           int      `json:"fuzz_refused"` // of those, by the schema or by the chart, with a clear message
	FuzzFailures          int      `json:"fuzz_failures"`
	TemplateMS            int      `json:"template_ms"`   // `helm template` of the umbrella, the fastest of three
	ReleaseBytes          int      `json:"release_bytes"` // the Secret in which Helm keeps the largest release
	Seconds               int      `json:"seconds"`
	Broken                []string `json:"broken,omitempty"` // the promises that were not kept
}

func main() {
	root := flag.String("root", "../..", "the repository")
	update := flag.Bool("update", false, "write the golden files instead of comparing them")
	seed := flag.Uint64("seed", 1, "seed of the values that are made up")
	renderings := flag.Int("renderings", 400, "how many renderings with values that are made up")
	flag.Parse()

	// Helm says of each symbolic link that it followed it.
	log.SetOutput(io.Discard)
	figures, err := judge(context.Background(), *root, *update, *seed, *renderings)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(figures); err != nil || len(figures.Broken) > 0 {
		os.Exit(1)
	}
}

// judge runs all judges. An error is one of the judges' own: what is wrong with the charts is in the figures.
func judge(ctx context.Context, root string, update bool, seed uint64, renderings int) (*Figures, error) {
	start := time.Now()
	figures := &Figures{Kubernetes: kubernetesVersions}
	report := &report{out: os.Stderr}

	report.step("Schemas of Kubernetes %v", kubernetesVersions)
	schemas, err := loadSchemas(ctx)
	if err != nil {
		return nil, err
	}
	policies, err := loadPolicies(ctx, filepath.Join(root, "test/charts/policies/rego"))
	if err != nil {
		return nil, err
	}
	figures.Policies = len(policies.ids)
	allowed, err := loadAllowances(filepath.Join(root, "test/charts/allowed.yaml"))
	if err != nil {
		return nil, err
	}
	judges := &bench{schemas: schemas, policies: policies, allowed: allowed}

	report.step("Fixtures of %d rules", len(policies.ids))
	figures.Fixtures = judgeFixtures(ctx, filepath.Join(root, "test/charts/policies/fixtures"), policies, report)

	charts, err := loadCharts(filepath.Join(root, "charts"))
	if err != nil {
		return nil, err
	}
	for _, c := range charts {
		report.step("%s: %d values files", c.name, len(c.valuesFiles))
		judgeChart(ctx, c, judges, figures, report)
	}
	report.add(allowed.judge()...)
	figures.Secrets = scanFiles(filepath.Join(root, "charts"), report)
	figures.Secrets += scanHistory(ctx, root, report)

	report.step("The predecessor")
	if err := judgePredecessor(ctx, filepath.Join(root, "test/charts/predecessor"), judges, figures, report); err != nil {
		return nil, err
	}
	report.step("The exemption of the build engine")
	judgeExemption(ctx, charts, judges, report)

	report.step("Coverage of the templates")
	judgeCoverage(charts, filepath.Join(root, "test/charts/refused"), figures, report)

	report.step("Golden files")
	if err := judgeGolden(filepath.Join(root, "test/charts/golden"), charts, update, figures, report); err != nil {
		return nil, err
	}

	report.step("%d renderings with values that are made up, seed %d", renderings, seed)
	judgeFuzz(charts, schemas, seed, renderings, figures, report)

	report.step("Size of the releases")
	judgeSize(charts, figures, report)

	report.step("Time of helm template")
	if err := timeTemplate(ctx, root, charts, figures, report); err != nil {
		return nil, err
	}

	figures.count(report.violations)
	figures.Broken = report.broken()
	figures.Seconds = int(time.Since(start).Seconds())
	return figures, nil
}
