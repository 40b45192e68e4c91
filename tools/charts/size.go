// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

const ruleSize = "release-size"

// maxRelease is a quarter of what Kubernetes lets a Secret have: Helm keeps a release in one, with chart, values and manifests, and a chart around
// ours needs room as well.
const maxRelease = corev1.MaxSecretSize / 4

// measureRelease gives the bytes of the Secret in which Helm keeps a release.
func measureRelease(s *source, file string) (int, error) {
	values, err := readValues(file)
	if err != nil {
		return 0, err
	}
	release, err := rehearse(s, values, situations[1])
	if err != nil {
		return 0, err
	}
	kept := &scales{}
	err = driver.NewSecrets(kept).Create("sh.helm.release.v1."+release.Name+".v1", release)
	return kept.bytes, err
}

// scales weighs a Secret instead of storing it.
type scales struct {
	typedcorev1.SecretInterface

	bytes int
}

// Create implements typedcorev1.SecretInterface.
func (s *scales) Create(_ context.Context, secret *corev1.Secret, _ metav1.CreateOptions) (*corev1.Secret, error) {
	for _, value := range secret.Data {
		s.bytes += len(value)
	}
	return secret, nil
}

// judgeSize weighs the release of every values file: Kubernetes refuses a Secret that is too large, and Helm an installation with it.
func judgeSize(charts []*source, figures *Figures, report *report) {
	for _, s := range charts {
		if s.library {
			continue
		}
		for _, file := range s.valuesFiles {
			bytes, err := measureRelease(s, file)
			if err != nil {
				report.add(Violation{Rule: ruleSize, Source: s.label(file), Object: "the release", Message: err.Error()})
				continue
			}
			figures.ReleaseBytes = max(figures.ReleaseBytes, bytes)
			if bytes > maxRelease {
				report.add(Violation{
					Rule: ruleSize, Source: s.label(file), Object: "the release", Message: fmt.Sprintf("%d bytes, of %d", bytes, maxRelease),
					Remedy: "keep files that no template reads out of the package (.helmignore)",
				})
			}
		}
	}
}
