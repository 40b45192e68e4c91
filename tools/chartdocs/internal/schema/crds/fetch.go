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

func main() {
	for _, s := range sources {
		if err := fetch(s.module, s.file, s.kinds); err != nil {
			fmt.Fprintf(os.Stderr, "%s of %s: %v\n", s.file, s.module, err)
			os.Exit(1)
		}
	}
}

func fetch(module, file string, kinds []string) error {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // outside of any module: the version is the one named here
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go mod download: %w", err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(downloaded.Dir, file))
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
