// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Fetch writes the schemas of custom resources that the examples use, each from the release of the project that defines it, without
// descriptions, status and older versions. Run it with `go generate ./internal/crds` after a change of a version.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// sources says for each module which of its files hold which kinds.
var sources = []struct {
	module, file string
	kinds        []string
}{
	{"github.com/argoproj/argo-cd/v2@v2.14.21", "manifests/crds/application-crd.yaml", []string{"Application"}},
	{"github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml", []string{"Certificate"}},
	{"github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds/cert-manager.io_issuers.yaml", []string{"Issuer"}},
	{"github.com/external-secrets/external-secrets@v1.3.2", "config/crds/bases/external-secrets.io_externalsecrets.yaml", []string{"ExternalSecret"}},
	{"github.com/external-secrets/external-secrets@v1.3.2", "config/crds/bases/external-secrets.io_secretstores.yaml", []string{"SecretStore"}},
	{"istio.io/api@v1.28.0", "kubernetes/customresourcedefinitions.gen.yaml", []string{"PeerAuthentication", "ServiceEntry", "Sidecar"}},
	{"github.com/kyverno/kyverno@v1.15.2", "config/crds/kyverno/kyverno.io_policyexceptions.yaml", []string{"PolicyException"}},
}

// gatekeeper is the module that says what a constraint may match. The kinds of constraints are made in a cluster, from templates.
const gatekeeper = "github.com/open-policy-agent/gatekeeper/v3@v3.23.1"

func main() {
	if err := constraint(); err != nil {
		fmt.Fprintf(os.Stderr, "the match of a constraint, of %s: %v\n", gatekeeper, err)
		os.Exit(1)
	}
	for _, s := range sources {
		if err := fetch(s.module, s.file, s.kinds); err != nil {
			fmt.Fprintf(os.Stderr, "%s of %s: %v\n", s.file, s.module, err)
			os.Exit(1)
		}
	}
}

// download returns the folder of a module.
func download(module string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // outside of any module: the version is the one named here
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	var downloaded struct{ Dir string }
	err = json.Unmarshal(out, &downloaded)
	return downloaded.Dir, err
}

// constraint writes the schema of a constraint, whose match is a text in Gatekeeper's source.
func constraint() error {
	folder, err := download(gatekeeper)
	if err != nil {
		return err
	}
	const file = "pkg/target/matchcrd_constant.go"
	source, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return err
	}
	_, text, _ := strings.Cut(string(source), "const matchYAML = `")
	text = text[:strings.LastIndex(text, "`")]
	text = regexp.MustCompile("` ?\\+ ?\"`\" ?\\+ ?`").ReplaceAllString(text, "`")
	var crd map[string]any
	if err := yaml.Unmarshal([]byte(text), &crd); err != nil {
		return err
	}
	strip(crd)
	version := crd["spec"].(map[string]any)["versions"].([]any)[0].(map[string]any)
	match := version["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)["properties"].(map[string]any)["embeddedMatch"]
	free := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	object := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": properties}
	}
	short, err := yaml.Marshal(map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"spec": map[string]any{
			"group": "constraints.gatekeeper.sh", "names": map[string]any{"kind": "K8sPSPPrivilegedContainer"},
			"versions": []any{map[string]any{"name": "v1beta1", "schema": map[string]any{"openAPIV3Schema": object(map[string]any{
				"apiVersion": map[string]any{"type": "string"}, "kind": map[string]any{"type": "string"}, "metadata": map[string]any{"type": "object"},
				"spec": object(map[string]any{"match": match, "parameters": free, "enforcementAction": map[string]any{"type": "string"}}),
			})}}},
		},
	})
	if err != nil {
		return err
	}
	header := "# The match is from " + file + " of " + gatekeeper + ", the rest is what every constraint has.\n"
	return os.WriteFile("constraint.yaml", append([]byte(header), short...), 0o644)
}

func fetch(module, file string, kinds []string) error {
	folder, err := download(module)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return err
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var crd map[string]any
		if err := yaml.Unmarshal([]byte(document), &crd); err != nil {
			return err
		}
		for _, kind := range kinds {
			if crd == nil || crd["spec"].(map[string]any)["names"].(map[string]any)["kind"] != kind {
				continue
			}
			strip(crd)
			delete(crd, "metadata")
			spec := crd["spec"].(map[string]any)
			spec["versions"] = slices.DeleteFunc(spec["versions"].([]any), func(version any) bool {
				return version.(map[string]any)["storage"] != true
			})
			short, err := yaml.Marshal(crd)
			if err != nil {
				return err
			}
			header := "# From " + file + " of " + module + ".\n"
			if err := os.WriteFile(strings.ToLower(kind)+".yaml", append([]byte(header), short...), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// strip removes what validates nothing: descriptions, printer columns and the schema of the status.
func strip(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, isText := node["description"].(string); isText {
			delete(node, "description")
		}
		delete(node, "additionalPrinterColumns")
		if properties, ok := node["properties"].(map[string]any); ok && properties["spec"] != nil {
			delete(properties, "status")
		}
		for _, child := range node {
			strip(child)
		}
	case []any:
		for _, child := range node {
			strip(child)
		}
	}
}
