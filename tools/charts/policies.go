// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// policies are the rules in Rego. test/charts/policies/README.md is the contract with them.
type policies struct {
	ids   map[string]bool
	query rego.PreparedEvalQuery
}

func loadPolicies(ctx context.Context, dir string) (*policies, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.rego"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no policy in it", dir)
	}
	p := &policies{ids: map[string]bool{}}
	options := []func(*rego.Rego){rego.Query("data.policies[area].deny")}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the path comes from a listing of the policies
		if err != nil {
			return nil, err
		}
		module, err := ast.ParseModuleWithOpts(file, string(text), ast.ParserOptions{ProcessAnnotation: true})
		if err != nil {
			return nil, err
		}
		if err := p.collect(file, module); err != nil {
			return nil, err
		}
		options = append(options, rego.ParsedModule(module))
	}
	p.query, err = rego.New(options...).PrepareForEval(ctx)
	return p, err
}

// collect takes the ids from the annotations, so that a rule that never fires is known as well.
func (p *policies) collect(file string, module *ast.Module) error {
	annotated := map[int]bool{}
	for _, annotation := range module.Annotations {
		if annotation.Scope != "rule" {
			continue
		}
		id, _ := annotation.Custom["id"].(string)
		if id == "" {
			continue // of what deny rules call
		}
		p.ids[id] = true
		annotated[annotation.EndLoc().Row] = true
	}
	for _, rule := range module.Rules {
		if rule.Head.Name == "deny" && !annotated[rule.Location.Row-1] {
			return fmt.Errorf("%s:%d: a deny rule without an id: give it METADATA with custom.id", file, rule.Location.Row)
		}
	}
	return nil
}

// judge gives what the policies find in one rendering.
func (p *policies) judge(ctx context.Context, objects []Object) ([]Violation, error) {
	var input []any
	for _, o := range objects {
		input = append(input, map[string]any{"path": o.Source, "contents": o.Doc})
	}
	results, err := p.query.Eval(ctx, rego.EvalInput(input))
	if err != nil {
		return nil, err
	}
	var violations []Violation
	for _, result := range results {
		for _, expression := range result.Expressions {
			findings, ok := expression.Value.([]any)
			if !ok {
				return nil, fmt.Errorf("deny is %T, not a set", expression.Value)
			}
			for _, finding := range findings {
				text := func(key string) string { s, _ := dig(finding, key).(string); return s }
				// The message repeats rule and object, for those who see nothing else of it.
				message := strings.TrimLeft(strings.TrimPrefix(text("msg"), "["+text("id")+"] "+text("object")), ",: ")
				violations = append(violations, Violation{Rule: text("id"), Source: objects[0].Source, Object: text("object"), Message: message})
			}
		}
	}
	slices.SortFunc(violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	return violations, nil
}
