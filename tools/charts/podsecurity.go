// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// The one workload that may break rules, and those of Pod Security that it may break: BuildKit runs containers itself.
const (
	exemptionLabel     = "kubiya.io/policy-exemption"
	exemptionValue     = "privileged-build-engine"
	componentLabel     = "app.kubernetes.io/kubiya-runner-component"
	exemptionComponent = "dagger-engine"
)

var exemptChecks = map[policy.CheckID]bool{
	"privileged": true, "allowPrivilegeEscalation": true, "capabilities_baseline": true, "capabilities_restricted": true,
	"runAsNonRoot": true, "runAsUser": true, "seccompProfile_baseline": true, "seccompProfile_restricted": true,
}

// podChecks evaluates each check of Pod Security at the level restricted by itself, so that its id is known.
var podChecks = func() map[policy.CheckID]policy.Evaluator {
	checks := map[policy.CheckID]policy.Evaluator{}
	for _, check := range policy.DefaultChecks() {
		evaluator, err := policy.NewEvaluator([]policy.Check{check})
		if err != nil {
			panic(err) // the module's own checks
		}
		checks[check.ID] = evaluator
	}
	return checks
}()

// podTemplate finds the pod in an object: nil where there is none.
func podTemplate(o Object) (labels, spec map[string]any) {
	path := []string{"spec", "template"}
	switch o.kind() {
	case "Pod":
		path = nil
	case "CronJob":
		path = []string{"spec", "jobTemplate", "spec", "template"}
	}
	template := dig(o.Doc, path...)
	spec, _ = dig(template, "spec").(map[string]any)
	if spec["containers"] == nil {
		return nil, nil
	}
	labels, _ = dig(template, "metadata", "labels").(map[string]any)
	return labels, spec
}

// judgePod evaluates the pod of an object, wherever it is, at the level restricted.
func judgePod(o Object) []Violation {
	labels, spec := podTemplate(o)
	if spec == nil {
		return nil
	}
	violation := Violation{Source: o.Source, Object: o.String(), Remedy: "see https://kubernetes.io/docs/concepts/security/pod-security-standards/"}
	var pod corev1.PodSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &pod); err != nil {
		violation.Rule, violation.Message = ruleSchema, fmt.Sprintf("no pod: %v", err)
		return []Violation{violation}
	}
	exempt := labels[exemptionLabel] == exemptionValue && labels[componentLabel] == exemptionComponent
	var violations []Violation
	for _, check := range policy.DefaultChecks() {
		if exempt && exemptChecks[check.ID] {
			continue
		}
		restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
		for _, result := range podChecks[check.ID].EvaluatePod(restricted, &metav1.ObjectMeta{}, &pod) {
			if result.Allowed {
				continue
			}
			violation.Rule = "pod-security/" + string(check.ID)
			violation.Message = strings.TrimSpace(result.ForbiddenReason + " " + result.ForbiddenDetail)
			violations = append(violations, violation)
		}
	}
	return violations
}
