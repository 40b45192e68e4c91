// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// moreMistakes are those that a schema cannot see.
var moreMistakes = []string{
	``,
	`# nothing`,
	`text`,
	`[1]`,
	`{cases: {a: b}}`,
	`{cases: [text]}`,
	"cases:\n- name: a\n  expect: {series: {'up{': 1}}\n- name: b\n  expectt: {}\n- expect: {seris: {}}\n",
	`{cases: [{name: a, expect: {}}, {name: a, expect: {}}]}`,
	`{cases: [{name: a, expect: {series: {'{}': 1}}}]}`,
	`{cases: [{name: a, expect: {series: {'{…}': 1}}}]}`,
	`{cases: [{name: a, expect: {series: {up: '{{schema:x}}'}}}]}`,
	`{cases: [{name: a, expect: {series: {up: '{{}} {{}}'}}}]}`,
	`{cases: [{name: a, expect: {series: {up: gone}}}]}`,
	`{cases: [{name: a, expect: {absent: ['{}']}}]}`,
	`{cases: [{name: a, expect: {promql: {'sum(': true}}}]}`,
	`{cases: [{name: a, expect: {labels: {match: up}}}]}`,
	`{cases: [{name: a, expect: {labels: []}}]}`,
	`{cases: [{name: a, expect: {error: '('}}]}`,
	`{cases: [{name: a, expect: {error: ''}}]}`,
	`{cases: [{name: a, expect: {error: x, count: {up: 0}}}]}`,
	`{cases: [{name: a, expect: {}}], config: 'no/such/*.yaml'}`,
	`{cases: [{name: a, expect: {}}], config: '['}`,
	`{cases: [{name: a, expect: {}}], scene: no-such.yaml}`,
	`{cases: [{name: a, expect: {}}], scene: collector.yaml}`,
	`{cases: [{name: a, expect: {}, scene: {pages: {x: y}}}]}`,
	`{cases: [{name: a, expect: {}}, {name: b, expect: {}}], scene: {pages: {"a:1/b": no-such.prom}}}`,
	`{cases: [{name: a, expect: {}}], scene: {manifests: [no-such.yaml]}}`,
	`{cases: [{name: a, expect: {}}], scene: {start: yesterday}}`,
	`{cases: [{name: a, expect: {}}], scene: {steps: [{at: 9s}, {at: 5s}, {at: 0}]}}`,
	"cases: &a\n- name: a\n  expect: *a\n",
	"cases:\n- name: a\n  name: b\n  expect: {}\n",
	"cases:\n\t- name: a\n",
	"\xff\xfec\x00a\x00",
	"cases:\x00",
	bomb(),
	strings.Repeat("[", 10_000),
	"a: " + strings.Repeat("x", maxFile),
}

// bomb has a text of a kilobyte and would be terabytes of nodes.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 12 {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i)
	}
	return b.String()
}

func TestMistakes(t *testing.T) {
	var b strings.Builder
	for _, text := range append(mistakes, moreMistakes...) {
		begin := time.Now()
		f, err := Parse("testdata/x_test.yaml", []byte(text))
		require.Error(t, err, "%q gives %v", text, f)
		assert.Less(t, time.Since(begin), 5*time.Second, "%.60q", text)
		fmt.Fprintf(&b, "%.140q\n    %s\n", text, strings.ReplaceAll(err.Error(), "\n", "\n    "))
	}
	golden(t, "testdata/mistakes.txt", b.String())
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a_test.yaml", "b.test.yml", "c.yaml", "d/e_test.yaml"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	for argument, want := range map[string][]string{
		"":       {"a_test.yaml", "b.test.yml", "d/e_test.yaml"},
		"c.yaml": {"c.yaml"},
		"*.yaml": {"a_test.yaml", "c.yaml"},
	} {
		found, err := Find(filepath.Join(dir, argument), filepath.Join(dir, argument))
		require.NoError(t, err)
		for i := range want {
			want[i] = filepath.Join(dir, want[i])
		}
		assert.Equal(t, want, found, argument)
	}
	for _, argument := range []string{"nothing", "n*", "[", "e"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "e"), 0o750))
		_, err := Find(filepath.Join(dir, argument))
		require.Error(t, err, argument)
		assert.Regexp(t, ": [a-z]", err.Error(), "it says what to do")
	}
}

func TestQuantity(t *testing.T) {
	for text, values := range map[string][2]float64{ // one that holds, one that does not
		"3":                {3, 4},
		"-1e3":             {-1000, 1000},
		">= 3":             {3, 2},
		">3":               {4, 3},
		"<= 3":             {3, 4},
		"<  3":             {2, 3},
		"!= 3":             {2, 3},
		"== 3":             {3, 2},
		"9007199254740993": {9007199254740992, 9007199254740994},
	} {
		q, err := parseQuantity(text)
		require.NoError(t, err, text)
		assert.True(t, q.holds(values[0]), text)
		assert.False(t, q.holds(values[1]), text)
		again, err := parseQuantity(q.String())
		require.NoError(t, err)
		assert.Equal(t, q, again)
	}
	for _, text := range []string{"", ">=", "three", "> 3 4", "=> 3", "0x", ".nan"} {
		_, err := parseQuantity(text)
		assert.Error(t, err, text) //nolint:testifylint // all of them
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range append(mistakes, moreMistakes[:len(moreMistakes)-2]...) {
		f.Add([]byte(text))
	}
	for _, path := range []string{"testdata/passing_test.yaml", "testdata/failing.yaml", "testdata/update/before.yaml"} {
		text, err := os.ReadFile(path) //nolint:gosec // a constant
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	dir := f.TempDir() // nothing is to be found
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(string(text), "live") || strings.Contains(string(text), "..") || strings.Contains(string(text), "/") {
			t.Skip("it could read what is outside")
		}
		file, err := Parse(filepath.Join(dir, "x_test.yaml"), text)
		if err != nil {
			return
		}
		// Whatever could be read can be written anew, and read again.
		seen := map[*yaml.Node]bool{}
		var all []*replacement
		for i := range file.Cases {
			for k := range file.Cases[i].expect {
				e := &file.Cases[i].expect[k]
				v := &verdict{message: "x", actual: "7"}
				if e.kind == kindEmpty || e.kind == kindSeries && isNothing(e.value) {
					v = &verdict{message: "x", fill: &filling{series: [][2]string{{`up{a="it's", b="\n"}`, "1"}}, targets: "{kept: 1}"}}
				} else if e.value != nil && len(e.value.Content) > 0 {
					v = &verdict{message: "x", items: []string{"pod/a", "1.2.3.4:5"}}
				}
				if e.value != nil && !seen[e.value] {
					seen[e.value] = true
					all = append(all, &replacement{e, []*verdict{v}})
				}
			}
		}
		u, err := file.update(all)
		if err != nil {
			return // what goes over several lines is left to the user
		}
		again, err := Parse(file.Name, u.After)
		if err != nil || len(again.Cases) != len(file.Cases) {
			t.Fatalf("%q became %q: %v", text, u.After, err)
		}
	})
}
