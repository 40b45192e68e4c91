// SPDX-License-Identifier: Apache-2.0

// Package chartconfig_test compares the configurations that the chart otel renders with those of configs/: they say the
// same, pass the same tests, and start with the environment that the chart sets.
package chartconfig_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	root      = "../.."
	namespace = "runner-acme"
)

// object is what these tests read of a rendered object.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Spec struct{ Containers []container }
		}
	}
}

type container struct {
	Name string
	Env  []struct {
		Name, Value string
		ValueFrom   struct {
			FieldRef struct {
				FieldPath string `yaml:"fieldPath"`
			} `yaml:"fieldRef"`
		} `yaml:"valueFrom"`
	}
}

// rendering is what the chart makes of values.
type rendering struct {
	// config is the collector's configuration.
	config string
	// env are the variables of the collector's container. Those of the pod itself have the values of the scene's.
	env map[string]string
}

// render runs Helm, with a values file of the chart's ci/ and more arguments.
func render(t *testing.T, values string, args ...string) rendering {
	t.Helper()
	args = append([]string{"template", "acme-prod", filepath.Join(root, "charts/otel"), "--namespace", namespace, "--kube-version", "1.34.0",
		"--values", filepath.Join(root, "charts/otel/ci", values+"-values.yaml")}, args...)
	out := run(t, "helm", nil, args...)
	var found rendering
	decoder := yaml.NewDecoder(strings.NewReader(out))
	for {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if text, ok := o.Data["collector.yaml"]; ok {
			found.config = text
		}
		if o.Kind == "StatefulSet" {
			found.env = environment(o.Spec.Template.Spec.Containers[0])
		}
	}
	require.NotEmpty(t, found.config)
	require.NotEmpty(t, found.env)
	return found
}

func environment(c container) map[string]string {
	fields := map[string]string{
		"metadata.namespace": namespace,
		"metadata.name":      "otel-collector-0",
		"status.podIP":       "127.0.0.1",
		"metadata.labels['apps.kubernetes.io/pod-index']": "0",
	}
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if e.ValueFrom.FieldRef.FieldPath != "" {
			env[e.Name] = fields[e.ValueFrom.FieldRef.FieldPath]
		}
	}
	return env
}

// run runs a program of bin/ and gives what it wrote to standard output.
func run(t *testing.T, program string, env []string, args ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "bin", program))
	require.NoError(t, err)
	require.FileExists(t, path, "run `make build bin/helm`")
	cmd := exec.CommandContext(t.Context(), path, args...) //nolint:gosec // a program of this repository
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s\n%s", program, strings.Join(args, " "), out, stderr.String())
	return string(out)
}
