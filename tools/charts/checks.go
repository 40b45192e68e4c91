// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The rules that need neither a policy nor a schema.
const (
	ruleRender        = "renders"
	ruleLint          = "helm-lint"
	rulePackage       = "helm-package"
	ruleSchema        = "kubernetes-schema"
	ruleClusterScoped = "cluster-scoped"
	ruleMovingTag     = "moving-tag"
	ruleSecret        = "secret"
	ruleWildcard      = "rbac-wildcard"
	ruleDuplicate     = "duplicate-object"
	ruleMetadata      = "metadata"
)

// checkObjects are our own rules over one rendering.
func checkObjects(s *schemas, objects []Object) []Violation {
	var violations []Violation
	seen := map[string]bool{}
	for _, o := range objects {
		add := func(rule, remedy, format string, args ...any) {
			violations = append(violations, Violation{Rule: rule, Source: o.Source, Object: o.String(), Message: fmt.Sprintf(format, args...), Remedy: remedy})
		}
		if namespaced, known := s.namespaced[scopeKey(o.str("apiVersion"), o.kind())]; !known {
			add(ruleClusterScoped, "render only kinds that Kubernetes has in each of the versions", "nobody knows whether %s %s is namespaced", o.str("apiVersion"), o.kind())
		} else if !namespaced {
			add(ruleClusterScoped, "leave it to the cluster's administrators, and say in NOTES what is expected", "%s is cluster-scoped", o.kind())
		}
		if seen[o.String()] {
			add(ruleDuplicate, "render it once", "rendered twice: one overwrites the other")
		}
		seen[o.String()] = true
		checkMetadata(o, add)
		checkImages(o, add)
		checkRules(o, add)
		for _, found := range secretsIn(string(o.YAML)) {
			add(ruleSecret, "name an existing Secret instead", "looks like a secret: %s", found)
		}
		if o.kind() == "Secret" {
			add(ruleSecret, "take the name of a Secret that is there (existingSecret)", "a chart that renders a Secret has its content in the values, and Helm keeps those")
		}
	}
	return violations
}

type addFunc func(rule, remedy, format string, args ...any)

// checkMetadata says what the API server's validation would say of names and labels; a schema has no word for it.
func checkMetadata(o Object, add addFunc) {
	const remedy = "shorten it or replace what is not allowed (trunc 63, trimSuffix \"-\")"
	valid := validation.IsDNS1123Subdomain
	if o.kind() == "Service" {
		valid = validation.IsDNS1035Label
	}
	// Names of roles may be any path segment, but nothing of ours needs that.
	for _, problem := range valid(o.str("metadata", "name")) {
		add(ruleMetadata, remedy, "name %q: %s", o.str("metadata", "name"), problem)
	}
	for path, labels := range labelsOf(o) {
		for key, value := range labels {
			text, ok := value.(string)
			if !ok {
				continue // the schema's business
			}
			for _, problem := range slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(text)) {
				add(ruleMetadata, remedy, "%s: %s: %q: %s", path, key, text, problem)
			}
		}
	}
}

// labelsOf finds the labels of an object, of its pods, and those that it selects by.
func labelsOf(o Object) map[string]map[string]any {
	found := map[string]map[string]any{}
	for _, path := range []string{"metadata.labels", "spec.template.metadata.labels", "spec.jobTemplate.spec.template.metadata.labels", "spec.selector.matchLabels"} {
		if labels, ok := dig(o.Doc, strings.Split(path, ".")...).(map[string]any); ok {
			found[path] = labels
		}
	}
	return found
}

// version matches a tag that says which version it is, down to the patch: v1.2.3, 1.2.3-rc1.
var version = regexp.MustCompile(`^v?[0-9]+\.[0-9]+\.[0-9]+([.+_-][A-Za-z0-9.+_-]+)?$`)

func checkImages(o Object, add addFunc) {
	_, spec := podTemplate(o)
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		containers, _ := spec[list].([]any)
		for _, container := range containers {
			image, _ := dig(container, "image").(string)
			if moving(image) {
				add(ruleMovingTag, "use a tag with a whole version (v1.2.3), or a digest", "container %v: image %q can change under its name", dig(container, "name"), image)
			}
		}
	}
}

// moving says whether an image's name can mean another image tomorrow.
func moving(image string) bool {
	if strings.Contains(image, "@sha256:") {
		return false
	}
	name := image[strings.LastIndexByte(image, '/')+1:]
	_, tag, _ := strings.Cut(name, ":")
	return !version.MatchString(tag)
}

func checkRules(o Object, add addFunc) {
	rules, _ := o.Doc["rules"].([]any)
	if !strings.HasSuffix(o.kind(), "Role") {
		return
	}
	for i, rule := range rules {
		for _, field := range []string{"verbs", "resources", "apiGroups", "nonResourceURLs"} {
			items, _ := dig(rule, field).([]any)
			if slices.ContainsFunc(items, func(item any) bool { s, _ := item.(string); return strings.Contains(s, "*") }) {
				add(ruleWildcard, "name each one", "rule %d: %s has a wildcard", i, field)
			}
		}
	}
}
