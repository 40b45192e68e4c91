// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	ruleFixture     = "fixture"
	rulePredecessor = "predecessor"
	ruleExemption   = "exemption"
	// minPredecessor is how many distinct rules the predecessor has to break, or the judges see too little.
	minPredecessor = 20
)

// judgeFixtures judges the judges: each rule finds what breaks it, and leaves alone what does not.
func judgeFixtures(ctx context.Context, dir string, p *policies, report *report) int {
	add := func(rule, file, message, remedy string) {
		report.add(Violation{Rule: ruleFixture, Source: filepath.Join("fixtures", rule, file), Object: rule, Message: message, Remedy: remedy})
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		add("", "", err.Error(), "")
		return 0
	}
	for _, entry := range entries {
		if entry.IsDir() && !p.ids[entry.Name()] {
			add(entry.Name(), "", "no rule has this id", "remove the fixtures, or mend the id")
		}
	}
	count := 0
	for _, rule := range slices.Sorted(maps.Keys(p.ids)) {
		for _, verdict := range []string{"bad", "good"} {
			files, err := filepath.Glob(filepath.Join(dir, rule, verdict+"*.yaml"))
			if err != nil || len(files) == 0 {
				add(rule, verdict+".yaml", "missing", "write objects that break the rule (bad), and that keep it (good)")
			}
			for _, file := range files {
				count++
				found, err := fixtureFindings(ctx, file, p)
				switch {
				case err != nil:
					add(rule, filepath.Base(file), err.Error(), "")
				case verdict == "good" && len(found) > 0:
					add(rule, filepath.Base(file), "breaks "+strings.Join(found, ", "), "a good fixture breaks no rule")
				case verdict == "bad" && !slices.Equal(found, []string{rule}):
					add(rule, filepath.Base(file), fmt.Sprintf("breaks %q", found), "a bad fixture breaks its own rule and no other")
				}
			}
		}
	}
	return count
}

// fixtureFindings gives the distinct rules that the objects of a file break.
func fixtureFindings(ctx context.Context, file string, p *policies) ([]string, error) {
	objects, err := readObjects(file)
	if err != nil {
		return nil, err
	}
	violations, err := p.judge(ctx, objects)
	return distinctRules(violations), err
}

func readObjects(file string) ([]Object, error) {
	data, err := os.ReadFile(file) //nolint:gosec // the path comes from a listing of test data
	if err != nil {
		return nil, err
	}
	objects, err := parseObjects(data, filepath.Base(file))
	if err == nil && len(objects) == 0 {
		err = fmt.Errorf("%s: no object in it", file)
	}
	return objects, err
}

func distinctRules(violations []Violation) []string {
	rules := map[string]bool{}
	for _, v := range violations {
		rules[v.Rule] = true
	}
	return slices.Sorted(maps.Keys(rules))
}

// judgePredecessor counts the rules that the predecessor breaks. It has to be valid Kubernetes: what a schema refuses is no finding.
func judgePredecessor(ctx context.Context, dir string, b *bench, figures *Figures, report *report) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	var objects []Object
	for _, file := range files {
		read, err := readObjects(file)
		if err != nil {
			return err
		}
		objects = append(objects, read...)
	}
	if len(objects) == 0 {
		return fmt.Errorf("%s: no manifest in it", dir)
	}
	violations, err := b.judge(ctx, kubernetesVersions[1], objects)
	if err != nil {
		return err
	}
	rules := distinctRules(violations)
	figures.ViolationsPredecessor = len(rules)
	report.say("   breaks %d rules in %d places: %s\n", len(rules), len(violations), strings.Join(rules, ", "))
	if len(rules) < minPredecessor {
		report.add(Violation{Rule: rulePredecessor, Source: dir, Object: "all manifests", Message: fmt.Sprintf("breaks %d rules, and has to break %d", len(rules), minPredecessor)})
	}
	for _, v := range violations {
		if v.Rule == ruleSchema {
			report.add(Violation{Rule: rulePredecessor, Source: v.Source, Object: v.Object, Message: v.Message, Remedy: "mend the reconstruction"})
		}
	}
	return nil
}

// judgeExemption looks whether the build engine is exempted by both of its labels only, and nobody else by either.
func judgeExemption(ctx context.Context, charts []*source, b *bench, report *report) {
	index := slices.IndexFunc(charts, func(s *source) bool { return s.name == "dagger" })
	add := func(object, message string) {
		report.add(Violation{Rule: ruleExemption, Source: "dagger", Object: object, Message: message})
	}
	if index < 0 || len(charts[index].valuesFiles) == 0 {
		add("the chart", "is not there")
		return
	}
	file := charts[index].valuesFiles[0]
	for _, change := range []struct {
		name   string
		labels map[string]any // nil removes
		want   bool           // refused
	}{
		{name: "as rendered"},
		{name: "without the label of the exemption", labels: map[string]any{exemptionLabel: nil}, want: true},
		{name: "with another value of the label", labels: map[string]any{exemptionLabel: "true"}, want: true},
		{name: "as another component", labels: map[string]any{componentLabel: "tool-manager"}, want: true},
	} {
		refused, found, err := judgeRelabelled(ctx, charts[index], file, change.labels, b)
		switch {
		case err != nil:
			add(change.name, err.Error())
		case !found:
			add(change.name, "no privileged workload in "+file)
		case refused != change.want:
			add(change.name, fmt.Sprintf("refused: %v, and has to be: %v", refused, change.want))
		}
	}
}

// judgeRelabelled renders, changes labels of the privileged workload and its pods, and says whether both policies and Pod Security refuse it, or either.
func judgeRelabelled(ctx context.Context, s *source, file string, labels map[string]any, b *bench) (refused, found bool, err error) {
	values, err := readValues(file)
	if err != nil {
		return false, false, err
	}
	objects, err := render(s, values, situations[1], s.label(file))
	if err != nil {
		return false, false, err
	}
	for _, o := range objects {
		podLabels, spec := podTemplate(o)
		if spec == nil || podLabels[exemptionLabel] == nil {
			continue
		}
		found = true
		objectLabels, _ := dig(o.Doc, "metadata", "labels").(map[string]any)
		for key, value := range labels {
			for _, m := range []map[string]any{podLabels, objectLabels} {
				if value == nil {
					delete(m, key)
					continue
				}
				m[key] = value
			}
		}
		refused = refused || len(judgePod(o)) > 0
	}
	violations, err := b.policies.judge(ctx, objects)
	byPolicy := slices.ContainsFunc(violations, func(v Violation) bool { return strings.Contains(v.Rule, "privileged") })
	if len(labels) > 0 {
		// A judge that is silent is a hole, even where the other one speaks.
		refused = refused && byPolicy
	} else {
		refused = refused || len(violations) > 0
	}
	return refused, found, err
}
