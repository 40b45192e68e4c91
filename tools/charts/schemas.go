// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
	"sigs.k8s.io/yaml"
)

// kubernetesVersions are what the charts are judged against: the modules that the OpenAPI of each minor version is taken from.
var kubernetesVersions = []string{"1.33.6", "1.34.2", "1.35.4"}

const (
	kubernetesModule = "k8s.io/kubernetes"
	operatorModule   = "github.com/prometheus-operator/prometheus-operator"
	operatorVersion  = "v0.85.0"
	// schemaFormat is part of the cache's path: raise it when the conversion changes.
	schemaFormat = "1"
)

// schemas validates objects as the API server of a version would: types, required and unknown fields.
type schemas struct {
	validators map[string]validator.Validator // by version of Kubernetes
	namespaced map[string]bool                // "apps/v1, Kind=Deployment": true, and false for what is cluster-scoped
}

// loadSchemas makes the schemas of all versions, or takes them from the user's cache.
func loadSchemas(ctx context.Context) (*schemas, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	s := &schemas{validators: map[string]validator.Validator{}, namespaced: map[string]bool{}}
	for _, version := range kubernetesVersions {
		dir := filepath.Join(cache, "otelcol-runner", "schemas-"+schemaFormat, version)
		if _, err := os.Stat(filepath.Join(dir, scopesFile)); errors.Is(err, os.ErrNotExist) {
			if err := makeSchemas(ctx, dir, version); err != nil {
				return nil, fmt.Errorf("schemas of Kubernetes %s: %w", version, err)
			}
		}
		data, err := os.ReadFile(filepath.Join(dir, scopesFile)) //nolint:gosec // written by makeSchemas
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &s.namespaced); err != nil {
			return nil, fmt.Errorf("%s: %w: remove the directory, it is made again", dir, err)
		}
		location := filepath.Join(dir, "{{ .ResourceKind }}{{ .KindSuffix }}.json")
		s.validators[version], err = validator.New([]string{location}, validator.Opts{Strict: true, KubernetesVersion: version})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// validate gives what is wrong with the object by the schema of its kind.
func (s *schemas) validate(version string, o Object) []Violation {
	result := s.validators[version].ValidateResource(resource.Resource{Path: o.Source, Bytes: o.YAML})
	if result.Status == validator.Valid || result.Status == validator.Empty {
		return nil
	}
	// What comes before names a file of ours; what follows, each field.
	message := result.Err.Error()
	if _, fields, found := strings.Cut(message, ".json#'"); found {
		message = strings.Join(strings.Fields(fields), " ")
	}
	return []Violation{{
		Rule: ruleSchema, Source: o.Source, Object: o.String(),
		Message: fmt.Sprintf("Kubernetes %s: %s", version, message),
		Remedy:  "see `kubectl explain` of the field",
	}}
}

// scopesFile is written last: a directory that has it is whole.
const scopesFile = "scopes.json"

// openAPI is what we read of swagger.json.
type openAPI struct {
	Definitions map[string]map[string]any `json:"definitions"`
	Paths       map[string]map[string]any `json:"paths"`
}

func makeSchemas(ctx context.Context, dir, version string) error {
	module, err := downloadModule(ctx, kubernetesModule, "v"+version)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(module, "api/openapi-spec/swagger.json")) //nolint:gosec // in the module cache
	if err != nil {
		return err
	}
	var api openAPI
	if err := json.Unmarshal(data, &api); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, definition := range api.Definitions {
		makeStrict(definition)
	}
	for name, definition := range api.Definitions {
		for _, kind := range kindsOf(definition) {
			if err := writeJSON(dir, kind.file(), standalone(name, api.Definitions)); err != nil {
				return err
			}
		}
	}
	scopes := scopesOf(api)
	if err := makeMonitorSchemas(ctx, dir, scopes); err != nil {
		return err
	}
	return writeJSON(dir, scopesFile, scopes)
}

// makeStrict turns a definition of OpenAPI 2 into a JSON schema that refuses unknown fields and, other than the API server, null.
func makeStrict(node any) {
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			makeStrict(child)
		}
	case map[string]any:
		_, open := n["x-kubernetes-preserve-unknown-fields"]
		if _, ok := n["properties"].(map[string]any); ok && n["additionalProperties"] == nil && !open {
			n["additionalProperties"] = false
		}
		_, eitherType := n["x-kubernetes-int-or-string"]
		if n["format"] == "int-or-string" || eitherType {
			delete(n, "type")
			delete(n, "format")
			delete(n, "anyOf")
			n["oneOf"] = []any{map[string]any{"type": "string"}, map[string]any{"type": "integer"}}
		}
		if ref, ok := n["$ref"].(string); ok && strings.HasSuffix(ref, ".resource.Quantity") {
			delete(n, "$ref")
			n["oneOf"] = []any{map[string]any{"type": "string", "pattern": quantity}, map[string]any{"type": "number"}}
		}
		for _, child := range n {
			makeStrict(child)
		}
	}
}

// quantity is how Kubernetes writes an amount: 250m, 1Gi, 1e3.
const quantity = `^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`

// standalone is the schema of a definition with all that it refers to.
func standalone(name string, definitions map[string]map[string]any) map[string]any {
	needed := map[string]any{}
	var collect func(node any)
	collect = func(node any) {
		switch n := node.(type) {
		case []any:
			for _, child := range n {
				collect(child)
			}
		case map[string]any:
			if ref, ok := n["$ref"].(string); ok {
				target := strings.TrimPrefix(ref, "#/definitions/")
				if needed[target] == nil {
					needed[target] = definitions[target]
					collect(definitions[target])
				}
			}
			for _, child := range n {
				collect(child)
			}
		}
	}
	collect(definitions[name])
	schema := map[string]any{"definitions": needed}
	for key, value := range definitions[name] {
		schema[key] = value
	}
	return schema
}

// kind is a group, version and kind.
type kind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

// file is named as kubeconform looks for it: deployment-apps-v1.json, networkpolicy-networking-v1.json.
func (k kind) file() string {
	parts := []string{k.Kind}
	if k.Group != "" {
		group, _, _ := strings.Cut(k.Group, ".")
		parts = append(parts, group)
	}
	return strings.ToLower(strings.Join(append(parts, k.Version), "-")) + ".json"
}

// key names the kind as apiVersion and kind of an object do.
func (k kind) key() string {
	return scopeKey(strings.TrimPrefix(k.Group+"/"+k.Version, "/"), k.Kind)
}

func scopeKey(apiVersion, kind string) string { return apiVersion + ", Kind=" + kind }

const kindExtension = "x-kubernetes-group-version-kind"

func kindsOf(definition map[string]any) []kind {
	var kinds []kind
	data, err := json.Marshal(definition[kindExtension])
	if err != nil || json.Unmarshal(data, &kinds) != nil {
		return nil
	}
	return kinds
}

// scopesOf reads from the paths which kinds can be created, and whether in a namespace.
func scopesOf(api openAPI) map[string]bool {
	scopes := map[string]bool{}
	for path, operations := range api.Paths {
		post, ok := operations["post"].(map[string]any)
		// Subresources such as pods/{name}/eviction are no objects.
		if !ok || strings.Contains(path, "{name}") {
			continue
		}
		var k kind
		data, err := json.Marshal(post[kindExtension])
		if err != nil || json.Unmarshal(data, &k) != nil || k.Kind == "" {
			continue
		}
		namespaced := strings.Contains(path, "/namespaces/{namespace}/")
		scopes[k.key()] = scopes[k.key()] || namespaced
	}
	return scopes
}

// makeMonitorSchemas adds the kinds of the Prometheus operator that a chart may offer.
func makeMonitorSchemas(ctx context.Context, dir string, scopes map[string]bool) error {
	module, err := downloadModule(ctx, operatorModule, operatorVersion)
	if err != nil {
		return err
	}
	for _, plural := range []string{"podmonitors", "servicemonitors"} {
		data, err := os.ReadFile(filepath.Join(module, "example/prometheus-operator-crd", "monitoring.coreos.com_"+plural+".yaml")) //nolint:gosec // in the module cache
		if err != nil {
			return err
		}
		var crd struct {
			Spec struct {
				Group    string                `json:"group"`
				Names    struct{ Kind string } `json:"names"`
				Versions []struct {
					Name   string `json:"name"`
					Schema struct {
						OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(data, &crd); err != nil {
			return fmt.Errorf("%s: %w", plural, err)
		}
		for _, version := range crd.Spec.Versions {
			k := kind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
			schema := version.Schema.OpenAPIV3Schema
			makeStrict(schema)
			// The schema says nothing of metadata but that it is an object.
			if err := writeJSON(dir, k.file(), schema); err != nil {
				return err
			}
			scopes[k.key()] = true
		}
	}
	return nil
}

// downloadModule gives the directory of a module that is only read, never linked.
func downloadModule(ctx context.Context, module, version string) (string, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version) //nolint:gosec // our own constants
	command.Dir = os.TempDir()                                                                // outside of any module, so that no go.sum asks for it
	command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := command.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.NewDecoder(bytes.NewReader(out)).Decode(&answer); jsonErr == nil && answer.Error != "" {
		return "", fmt.Errorf("%s: check GOPROXY", answer.Error)
	}
	if err != nil {
		return "", fmt.Errorf("go mod download %s@%s: %w", module, version, err)
	}
	return answer.Dir, nil
}

func writeJSON(dir, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), data, 0o600)
}
