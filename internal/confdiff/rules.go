// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// ruleFile is a rule file of Prometheus, or a PrometheusRule of the operator, which has the same below spec. Only what is looked at
// is in it: whether the file is valid is for `promtool check rules`.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
	Spec   struct {
		Groups []ruleGroup `yaml:"groups"`
	} `yaml:"spec"`
}

type ruleGroup struct {
	Name  string `yaml:"name"`
	Rules []struct {
		Record      string            `yaml:"record"`
		Alert       string            `yaml:"alert"`
		Expr        yaml.Node         `yaml:"expr"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"rules"`
}

// Rules reads the queries of a rule file. Name is what it is called in messages.
func Rules(name string, text []byte) ([]Query, error) {
	var queries []Query
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var f ruleFile
		err := decode(decoder, &f)
		switch {
		case errors.Is(err, io.EOF) && len(queries) == 0:
			return nil, fmt.Errorf("%s: no rule in it: give a rule file of Prometheus (groups: …) or a PrometheusRule", name)
		case errors.Is(err, io.EOF):
			return queries, nil
		case err != nil:
			return nil, fmt.Errorf("%s: cannot be read as a rule file: %w", name, err)
		}
		for _, g := range slices.Concat(f.Groups, f.Spec.Groups) {
			for i := range g.Rules {
				rule := &g.Rules[i]
				q := Query{Kind: Recording, File: name, Line: rule.Expr.Line, Name: rule.Record, Expr: rule.Expr.Value}
				var texts []string
				if rule.Alert != "" {
					q.Kind, q.Name = Alert, rule.Alert
					for _, m := range []map[string]string{rule.Labels, rule.Annotations} {
						for _, text := range m {
							texts = append(texts, text)
						}
					}
				}
				q.read(q.Expr, templateLabels(texts...))
				queries = append(queries, q)
			}
		}
	}
}

// decode decodes a document. The parser of the library panics on what it takes for its own bugs.
func decode(d *yaml.Decoder, to any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is no YAML: %v", r)
		}
	}()
	return d.Decode(to)
}
