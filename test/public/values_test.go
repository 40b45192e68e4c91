// SPDX-License-Identifier: Apache-2.0

package public_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// addValues takes the scrape configurations out of the values of a Helm chart, by the key at which they are: as YAML, as text in a block, and
// as examples in comments. What is taken out is written anew, so that its lines are not those of the file.
func (c *collected) addValues(name, path string, text []byte) error {
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := onDefaults(filepath.Dir(path), all); err != nil {
		return err
	}
	if err := c.addBelow(name+"#", path, all); err != nil {
		return err
	}
	for i, example := range commented.FindAll(text, -1) {
		c.add(fmt.Sprintf("%s#comment-%d", name, i+1), path, dedent(comment.ReplaceAll(example, nil)))
	}
	return nil
}

var (
	commented = regexp.MustCompile(`(?m)(?:^ *#+ +- job_name:.*\n)(?:^ *# {3,}.*\n)*`)
	comment   = regexp.MustCompile(`(?m)^ *#+`)
)

// onDefaults puts the jobs of a chart's test case, in its folder ci, on top of those that the chart has by itself.
func onDefaults(folder string, all map[string]any) error {
	own, changed := all["scrapeConfigs"].(map[string]any)
	if !changed || filepath.Base(folder) != "ci" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(folder), "values.yaml"))
	if err != nil {
		return err
	}
	var defaults map[string]any
	if err := yaml.Unmarshal(text, &defaults); err != nil {
		return err
	}
	jobs, _ := defaults["scrapeConfigs"].(map[string]any)
	merge(jobs, own)
	all["scrapeConfigs"] = jobs
	return nil
}

// merge puts values on top of others as Helm does: mappings are merged, null removes.
func merge(into, from map[string]any) {
	for key, value := range from {
		below, isMap := value.(map[string]any)
		before, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			merge(before, below)
		default:
			into[key] = value
		}
	}
}

// addBelow looks for scrape configurations in a mapping and below it.
func (c *collected) addBelow(name, path string, mapping map[string]any) error {
	if _, scraping := mapping["scrape_configs"]; scraping {
		return c.addMarshalled(strings.TrimSuffix(name, "."), path, mapping)
	}
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		at := name + key
		var err error
		switch value := mapping[key].(type) {
		case map[string]any:
			if key == "scrapeConfigs" {
				err = c.addMarshalled(at, path, jobsByName(value))
				break
			}
			err = c.addBelow(at+".", path, value)
		case []any:
			err = c.addList(at, path, value)
		case string:
			if scrapes.MatchString(value) {
				c.add(at, path, []byte(value))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addList adds a list of jobs, and what is in the texts of a list.
func (c *collected) addList(name, path string, list []any) error {
	for i, item := range list {
		switch item := item.(type) {
		case map[string]any:
			if _, isJob := item["job_name"]; isJob {
				return c.addMarshalled(name, path, list)
			}
		case string:
			if scrapes.MatchString(item) {
				c.add(fmt.Sprintf("%s[%d]", name, i), path, []byte(item))
			}
		}
	}
	return nil
}

// jobsByName makes scrape_configs of the mapping of jobs that the chart prometheus has, as its template does.
func jobsByName(mapping map[string]any) map[string]any {
	jobs := []any{}
	for _, name := range slices.Sorted(maps.Keys(mapping)) {
		job, _ := mapping[name].(map[string]any)
		if job == nil || job["enabled"] == false {
			continue
		}
		job = maps.Clone(job)
		delete(job, "enabled")
		if job["job_name"] == nil || job["job_name"] == "" {
			job["job_name"] = name
		}
		jobs = append(jobs, job)
	}
	return map[string]any{"scrape_configs": jobs}
}

func (c *collected) addMarshalled(name, path string, content any) error {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.add(name, path, text.Bytes())
	return nil
}
