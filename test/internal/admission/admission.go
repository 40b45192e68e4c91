// SPDX-License-Identifier: Apache-2.0

// Package admission puts the admission policies of test/charts/policies before a real API server.
package admission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	// fieldManager owns what is applied.
	fieldManager = "runner-policies"
	// patience is how long the API server may take until a policy that it has been given is in force.
	patience = 30 * time.Second
	// pollEvery is how often it is asked meanwhile.
	pollEvery = 100 * time.Millisecond
)

// Verdict is what the API server makes of the fixtures.
type Verdict struct {
	// Rules are the ids of the rules that it can enforce, in order.
	Rules []string
	// Denied and Admitted count the fixtures that were treated as they should.
	Denied, Admitted int
	// Faults are those that were not, each a sentence.
	Faults []string
}

// Load applies the policies, their bindings and their parameters. The server needs a moment to put them in force, which Judge waits for.
func Load(ctx context.Context, config *rest.Config, dir string) error {
	c, err := connect(config)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "admission", "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s holds no admission policies: it should be test/charts/policies", dir)
	}
	for _, file := range files {
		if err := c.applyAll(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

// Judge creates every fixture, as a dry run: each bad one has to be denied by its rule, each good one to be admitted. Rules that only Rego
// can decide are left out.
func Judge(ctx context.Context, config *rest.Config, dir string) (*Verdict, error) {
	rules, err := Rules(dir)
	if err != nil {
		return nil, err
	}
	c, err := connect(config)
	if err != nil {
		return nil, err
	}
	if err := c.applyAll(ctx, filepath.Join(dir, "namespace.yaml")); err != nil {
		return nil, err
	}
	v := &Verdict{Rules: rules}
	// The bad ones first: when they are denied, the policies are in force, and that a good one is admitted means something.
	deadline := time.Now().Add(patience)
	for _, rule := range rules {
		err := eachFixture(dir, rule, "bad", func(file string, objects []*unstructured.Unstructured) {
			v.bad(file, c.awaitDenial(ctx, rule, objects, deadline))
		})
		if err != nil {
			return nil, err
		}
	}
	for _, rule := range rules {
		err := eachFixture(dir, rule, "good", func(file string, objects []*unstructured.Unstructured) {
			v.good(file, errors.Join(c.create(ctx, objects)...))
		})
		if err != nil {
			return nil, err
		}
	}
	return v, ctx.Err()
}

func (v *Verdict) bad(file string, fault error) {
	if fault != nil {
		v.Faults = append(v.Faults, fmt.Sprintf("%s: %v", file, fault))
		return
	}
	v.Denied++
}

func (v *Verdict) good(file string, refusals error) {
	if refusals != nil {
		v.Faults = append(v.Faults, fmt.Sprintf("%s should be admitted: %v", file, refusals))
		return
	}
	v.Admitted++
}

// ruleID is how a message of a policy begins.
var ruleID = regexp.MustCompile(`\[([a-z][a-z-]+[a-z])\] `)

// Rules returns the ids of the rules that the policies in dir enforce, in order.
func Rules(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "admission", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this repository
		if err != nil {
			return nil, err
		}
		for _, match := range ruleID.FindAllSubmatch(text, -1) {
			ids = append(ids, string(match[1]))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// eachFixture reads the fixtures of a rule that are of one kind, bad or good. There has to be one.
func eachFixture(dir, rule, kind string, do func(file string, objects []*unstructured.Unstructured)) error {
	folder := filepath.Join(dir, "fixtures", rule)
	files, err := filepath.Glob(filepath.Join(folder, kind+"*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no %s*.yaml: every rule needs one", folder, kind)
	}
	for _, file := range files {
		objects, err := read(file)
		if err != nil {
			return err
		}
		do(file, objects)
	}
	return nil
}

// read returns the objects of a YAML file.
func read(file string) ([]*unstructured.Unstructured, error) {
	f, err := os.Open(file) //nolint:gosec // a file of this repository
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	decoder := yaml.NewYAMLOrJSONDecoder(f, 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("%s: document %d: %w", file, len(objects)+1, err)
		}
		objects = append(objects, object)
	}
}

// client is an API server, with the resources that it has.
type client struct {
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

func connect(config *rest.Config) (*client, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // hundreds of small requests, to a server of our own
	config.WarningHandler = rest.NoWarnings{}
	resources, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := restmapper.GetAPIGroupResources(resources)
	if err != nil {
		return nil, fmt.Errorf("the API server's resources: %w", err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &client{dynamic: objects, mapper: restmapper.NewDiscoveryRESTMapper(groups)}, nil
}

func (c *client) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.dynamic.Resource(mapping.Resource), nil
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
}

// applyAll applies the objects of a file.
func (c *client) applyAll(ctx context.Context, file string) error {
	objects, err := read(file)
	if err != nil {
		return err
	}
	for _, object := range objects {
		resource, err := c.resource(object)
		if err == nil {
			_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		}
		if err != nil {
			return fmt.Errorf("%s: %s %s: %w", file, object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// create creates the objects as a dry run, and returns the refusals.
func (c *client) create(ctx context.Context, objects []*unstructured.Unstructured) []error {
	var refusals []error
	for _, object := range objects {
		resource, err := c.resource(object)
		if err == nil {
			_, err = resource.Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		}
		if err != nil {
			refusals = append(refusals, err)
		}
	}
	return refusals
}

// awaitDenial creates the objects until the rule denies one of them, and no other rule any. The fault is what is wrong at the deadline.
func (c *client) awaitDenial(ctx context.Context, rule string, objects []*unstructured.Unstructured, deadline time.Time) error {
	for {
		fault := deniedBy(rule, c.create(ctx, objects))
		if fault == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return fault
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// deniedBy is nil where every refusal is one of the rule, and there is one.
func deniedBy(rule string, refusals []error) error {
	if len(refusals) == 0 {
		return fmt.Errorf("should be denied by %s, and is admitted", rule)
	}
	for _, refusal := range refusals {
		if !strings.Contains(refusal.Error(), "["+rule+"] ") {
			return fmt.Errorf("should be denied by %s alone: %w", rule, refusal)
		}
	}
	return nil
}
