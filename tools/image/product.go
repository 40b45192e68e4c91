// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// product is a program that there is an image of.
type product struct {
	// name is that of the program, its image and its archive.
	name string
	// otherName is a second name of the program. Empty: none.
	otherName   string
	description string
	// layout is the folder of the OCI image layout.
	layout string
	// config is the configuration that lies in the image, seen from the repository. Empty: none.
	config string
	// data is the folder that the program may write, a volume. Empty: none.
	data string
	// container is how a container runs, beside what is the same for all.
	container v1.Config
}

var products = []product{
	{
		name:        "otelcol-runner",
		otherName:   legacyName,
		description: "A runner's metrics, straight to managed Prometheus",
		layout:      "image",
		config:      "configs/collector.yaml",
		data:        dataPath,
		container: v1.Config{
			Cmd: []string{"--config=/" + configPath},
			Env: []string{"PATH=/", "GOGC=50"},
			ExposedPorts: map[string]struct{}{
				"4317/tcp":  {}, // OTLP over gRPC
				"4318/tcp":  {}, // OTLP over HTTP
				"8888/tcp":  {}, // the collector's own metrics
				"13133/tcp": {}, // health check
			},
			Volumes: map[string]struct{}{"/" + dataPath: {}}, // the log of the exporter
		},
	},
	{
		name:        "runnerctl",
		description: "Shows, checks and explains what a runner's collector does",
		layout:      "runnerctl-image",
		container:   v1.Config{Cmd: []string{"--help"}, Env: []string{"PATH=/"}},
	},
}

func findProduct(name string) (*product, error) {
	i := slices.IndexFunc(products, func(p product) bool { return p.name == name })
	if i < 0 {
		var names []string
		for i := range products {
			names = append(names, products[i].name)
		}
		return nil, fmt.Errorf("--image: %q is none; use %s", name, strings.Join(names, " or "))
	}
	return &products[i], nil
}

// imageConfig is how a container of the image runs. The Dockerfile says the
// same; a test compares them.
func (p *product) imageConfig(version string) v1.Config {
	c := p.container
	c.User = fmt.Sprintf("%d:%d", userID, userID)
	c.WorkingDir = "/"
	c.Entrypoint = []string{"/" + p.name}
	c.Labels = map[string]string{
		"org.opencontainers.image.title":       p.name,
		"org.opencontainers.image.description": p.description,
		"org.opencontainers.image.source":      "https://github.com/kubiyabot/otelcol-runner",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     version,
	}
	return c
}
