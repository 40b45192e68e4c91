// SPDX-License-Identifier: Apache-2.0

// Package public_test runs the linter and the engine over public configurations that nobody of this project wrote.
package public_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
)

// sources are modules, with what is in them that scrapes. Their files are read where Go keeps modules, and are not copied.
// testdata/README.md says what they are. The version is that of go.mod or, where this module does not need it, of
// tools/public/go.mod.
var sources = []struct {
	module string
	paths  []string
}{
	{"github.com/prometheus/prometheus", []string{"documentation/examples", "config/testdata", "cmd/promtool/testdata", "docs/getting_started.md"}},
	{"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver", []string{"testdata", "README.md"}},
	{"github.com/prometheus-community/helm-charts", []string{"charts"}},
	{"github.com/prometheus-operator/prometheus-operator", []string{"pkg/prometheus/testdata", "example/additional-scrape-configs", "Documentation"}},
	{"github.com/VictoriaMetrics/VictoriaMetrics", []string{"deployment", "lib/promscrape/testdata", "docs"}},
}

// configuration is a text that scrapes, as somebody published it.
type configuration struct {
	name string // module, path, and what of the file it is, where it is a part: a block of Markdown, a key of a chart's values
	path string // the file that it is from, for what it names relative to itself
	text []byte
}

// collected is what all sources hold.
type collected struct {
	configurations []configuration // in the order of their names
	templates      []string        // the names of those that are Go templates, and were left out
}

// collect is done once for all tests of a process.
var collect = sync.OnceValues(func() (*collected, error) {
	root, err := testbed.FindRoot()
	if err != nil {
		return nil, err
	}
	folders, err := moduleFolders(root)
	if err != nil {
		return nil, err
	}
	all := &collected{}
	for _, s := range sources {
		for _, path := range s.paths {
			if err := all.addFolder(filepath.Base(s.module), folders[s.module], path); err != nil {
				return nil, fmt.Errorf("%s: %w", s.module, err)
			}
		}
	}
	slices.Sort(all.templates)
	slices.SortFunc(all.configurations, func(a, b configuration) int { return strings.Compare(a.name, b.name) })
	return all, nil
})

func publicFiles(t *testing.T) *collected {
	t.Helper()
	all, err := collect()
	require.NoError(t, err)
	require.Greater(t, len(all.configurations), 500)
	return all
}

// moduleFolders returns where the modules of sources are. It downloads those that are not there yet.
func moduleFolders(root string) (map[string]string, error) {
	var pinned struct {
		Require []struct{ Path, Version string }
	}
	if err := run(filepath.Join(root, "tools", "public"), &pinned, "mod", "edit", "-json"); err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, r := range pinned.Require {
		versions[r.Path] = r.Version
	}
	folders := map[string]string{}
	for _, s := range sources {
		var module struct{ Dir string }
		dir, args := root, []string{"list", "-m", "-json", s.module}
		if version, only := versions[s.module]; only {
			// With its version, the modules that it needs itself are not asked for.
			dir, args = filepath.Join(root, "tools", "public"), []string{"mod", "download", "-json", s.module + "@" + version}
		}
		if err := run(dir, &module, args...); err != nil {
			return nil, err
		}
		folders[s.module] = module.Dir
	}
	return folders, nil
}

// run runs go in dir, and decodes what it prints.
func run(dir string, into any, args ...string) error {
	cmd := exec.Command("go", args...) //nolint:gosec,noctx // arguments from the table; it ends by itself
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go %s in %s: %w: %s%s: modules with public configurations are downloaded once, which needs the module proxy (GOPROXY)",
			strings.Join(args, " "), dir, err, stderr.String(), out)
	}
	return json.Unmarshal(out, into)
}

func (c *collected) addFolder(base, root, path string) error {
	return filepath.WalkDir(filepath.Join(root, path), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".yml", ".yaml", ".golden", ".md":
		default:
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // below a module's folder
		if err != nil {
			return err
		}
		return c.addFile(base+"/"+filepath.ToSlash(relative), path, text)
	})
}

var (
	scrapes = regexp.MustCompile(`(?m)^[\s#]*(- )?["']?(scrape_configs|job_name|scrape_config_files)["']?:`)
	noJob   = regexp.MustCompile(`(?m)^scrape_configs: \[\]$`)
	job     = regexp.MustCompile(`job_name:`)
	fenced  = regexp.MustCompile("(?ms)^ *```ya?ml[^\n]*\n(.*?)^ *```")
	values  = regexp.MustCompile(`(^|[-_/])values\.ya?ml$`)
	// object is what is applied to a cluster, or the template of it: no configuration of Prometheus.
	object = regexp.MustCompile(`(?m)^(kind|CustomResourceDefinition|\{\{)`)
)

// addFile takes what scrapes out of a file.
func (c *collected) addFile(name, path string, text []byte) error {
	switch {
	case values.MatchString(name):
		return c.addValues(name, path, text)
	case !scrapes.Match(text):
	case filepath.Ext(name) == ".md":
		for i, block := range fenced.FindAllSubmatch(text, -1) {
			if scrapes.Match(block[1]) {
				c.add(fmt.Sprintf("%s#%d", name, i+1), path, dedent(block[1]))
			}
		}
	case object.Match(text), noJob.Match(text) && !job.Match(text):
	default:
		c.add(name, path, text)
	}
	return nil
}

var section = regexp.MustCompile(`(?m)^prometheus(/\w+)?:`)

// add adds a configuration. It makes a collector's of a section of one, as components have in their test data.
func (c *collected) add(name, path string, text []byte) {
	if bytes.Contains(text, []byte("{{")) {
		c.templates = append(c.templates, name)
		return
	}
	if section.Match(text) {
		text = append([]byte("receivers:\n  "), bytes.ReplaceAll(text, []byte("\n"), []byte("\n  "))...)
	}
	c.configurations = append(c.configurations, configuration{name, path, text})
}

// dedent takes away the indentation of the first line: blocks of Markdown stand in lists.
func dedent(text []byte) []byte {
	indentation := text[:len(text)-len(bytes.TrimLeft(text, " "))]
	if len(indentation) == 0 {
		return text
	}
	return bytes.TrimPrefix(bytes.ReplaceAll(text, append([]byte("\n"), indentation...), []byte("\n")), indentation)
}
