// SPDX-License-Identifier: Apache-2.0

package natscompat

import (
	"cmp"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
)

// Apply makes the changes in a configuration, with the values of variables. That of a secret is an opaque string, which nothing shows.
func Apply(conf *confmap.Conf, changes []*Change, getenv func(string) string) error {
	for _, c := range changes {
		for _, e := range c.Edits {
			if err := open(conf, e.Path); err != nil {
				return err
			}
			if err := replace(conf, e.Path, resolve(e.Value, getenv)); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace gives a key a value; nil deletes it. A merge alone would leave keys of a map that is there, and append to lists where the
// feature gate confmap.enableMergeAppendOption is on.
func replace(conf *confmap.Conf, path string, value any) error {
	conf.Delete(path)
	if value == nil {
		return nil
	}
	return conf.Merge(confmap.NewFromStringMap(map[string]any{path: value}))
}

// open makes keys of the maps above a key that came as one value, from a file or a variable: what is below cannot be reached otherwise.
func open(conf *confmap.Conf, path string) error {
	for i := range path {
		if !strings.HasPrefix(path[i:], confmap.KeyDelimiter) {
			continue
		}
		content, _ := conf.Get(path[:i]).(map[string]any)
		for name := range content {
			if conf.IsSet(path[:i] + confmap.KeyDelimiter + name) {
				break
			}
			if err := replace(conf, path[:i], content); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// resolve puts values in the place of references.
func resolve(v any, getenv func(string) string) any {
	switch v := v.(type) {
	case Ref:
		name, otherwise, _ := strings.Cut(string(v), ":-")
		return cmp.Or(getenv(name), otherwise)
	case Secret:
		return configopaque.String(getenv(string(v)))
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = resolve(item, getenv)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, resolve(item, getenv))
		}
		return out
	}
	return v
}
