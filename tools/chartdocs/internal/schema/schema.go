// SPDX-License-Identifier: Apache-2.0

// Package schema checks custom resources as an API server does that has their definitions: by their schema, their CEL rules, and
// for fields that the schema does not have.
package schema

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

//go:generate go run crds/fetch.go

//go:embed crds/*.yaml
var files embed.FS

// Kinds are the definitions of custom resources by apiVersion and kind, for example `cert-manager.io/v1 Certificate`.
type Kinds map[string]checker

type checker struct {
	structural *structural.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator
}

// Load reads the definitions in crds.
func Load() (Kinds, error) {
	entries, err := files.ReadDir("crds")
	if err != nil {
		return nil, err
	}
	kinds := Kinds{}
	for _, entry := range entries {
		text, err := files.ReadFile("crds/" + entry.Name())
		if err != nil {
			return nil, err
		}
		if err := kinds.add(text); err != nil {
			return nil, fmt.Errorf("crds/%s: %w", entry.Name(), err)
		}
	}
	return kinds, nil
}

func (k Kinds) add(text []byte) error {
	var crd v1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return err
	}
	for _, version := range crd.Spec.Versions {
		var internal apiextensions.CustomResourceValidation
		if err := v1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &internal, nil); err != nil {
			return err
		}
		whole, err := structural.NewStructural(internal.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		values, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		k[crd.Spec.Group+"/"+version.Name+" "+crd.Spec.Names.Kind] = checker{whole, values, cel.NewValidator(whole, true, celconfig.PerCallLimit)}
	}
	return nil
}

// Check returns everything that is wrong with an object, and whether its kind is known at all.
func (k Kinds) Check(object map[string]any) (error, bool) {
	check, known := k[fmt.Sprint(object["apiVersion"], " ", object["kind"])]
	if !known {
		return nil, false
	}
	faults := validation.ValidateCustomResource(nil, object, check.values)
	if check.rules != nil {
		ofRules, _ := check.rules.Validate(context.Background(), field.NewPath(""), check.structural, object, nil, celconfig.RuntimeCELCostBudget)
		faults = append(faults, ofRules...)
	}
	copied := runtime.DeepCopyJSON(object)
	unknown := pruning.PruneWithOptions(copied, check.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	errs := []error{faults.ToAggregate()}
	for _, path := range unknown {
		errs = append(errs, fmt.Errorf("%s: there is no such field", path))
	}
	return errors.Join(errs...), true
}
