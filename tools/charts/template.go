// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const ruleTime = "template-time"

// maxTemplate is how long `helm template` of the umbrella may take: every dry run and every diff waits for it.
const maxTemplate = 2 * time.Second

// timeTemplate runs the real command, the fastest of three times: what else the machine does is not the chart's.
func timeTemplate(ctx context.Context, root string, charts []*source, figures *Figures, report *report) error {
	i := slices.IndexFunc(charts, func(s *source) bool { return s.name == "runner" })
	if i < 0 || len(charts[i].valuesFiles) == 0 {
		report.add(Violation{Rule: ruleTime, Source: "runner", Object: "the chart", Message: "is not there, or has no values file"})
		return nil
	}
	helm, err := filepath.Abs(filepath.Join(root, "bin/helm"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(helm); err != nil {
		return fmt.Errorf("%w: build it with `make bin/helm`", err)
	}
	fastest := time.Duration(-1)
	for range 3 {
		command := exec.CommandContext(ctx, helm, "template", releaseName, charts[i].dir, "--namespace", releaseNamespace, "--values", charts[i].valuesFiles[0]) //nolint:gosec // our own binary
		var said strings.Builder
		command.Stderr = &said
		start := time.Now()
		if err := command.Run(); err != nil {
			report.add(Violation{Rule: ruleTime, Source: charts[i].label(charts[i].valuesFiles[0]), Object: "helm template", Message: strings.TrimSpace(said.String())})
			return nil
		}
		if took := time.Since(start); fastest < 0 || took < fastest {
			fastest = took
		}
	}
	figures.TemplateMS = int(fastest.Milliseconds())
	if fastest > maxTemplate {
		report.add(Violation{Rule: ruleTime, Source: "runner", Object: "helm template", Message: fmt.Sprintf("took %v, of %v", fastest, maxTemplate)})
	}
	return nil
}
