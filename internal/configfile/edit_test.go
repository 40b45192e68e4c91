// SPDX-License-Identifier: Apache-2.0

package configfile

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// quotes has scalars in every style that can be on one line.
const quotes = "scrape_configs: # é\r\n" +
	"- job_name: plain   # comment\r\n" +
	"  single: 'it''s' # c\r\n" +
	"  double: \"a\\\"b\" # c\r\n" +
	"  anchored: &x !!str value\r\n" +
	"  flow: [é, {a: b}, 'c']\r\n" +
	"  empty:\r\n" +
	"  block: |\r\n    text\r\n" +
	"  long: one\r\n    two\r\n"

func TestReplaceScalar(t *testing.T) {
	for _, c := range []struct{ path, value, old, want string }{
		{"job_name", "b", "plain ", "b "},
		{"job_name", "a: b", "plain ", "'a: b' "},
		{"job_name", "it's", "plain ", "it's "},
		{"job_name", "true", "plain ", "true "},
		{"job_name", "", "plain ", "'' "},
		{"job_name", " a", "plain ", "' a' "},
		{"job_name", "a #b", "plain ", "'a #b' "},
		{"job_name", "a\nb", "plain ", `"a\nb" `},
		{"single", "it's b", "'it''s'", "'it''s b'"},
		{"single", "a\tb", "'it''s'", `"a\tb"`},
		{"double", `a\d"`, `"a\"b"`, `"a\\d\""`},
		{"anchored", "other", "str value", "str other"},
		{"flow[0]", "x", "[é,", "[x,"},
		{"flow[0]", "x,y", "[é,", "['x,y',"},
		{"flow[1]::a", "x]", "a: b}", "a: 'x]'}"},
		{"flow[2]", "d", "'c'", "'d'"},
	} {
		f := parse(t, quotes)
		n := f.Lookup("scrape_configs[0]::" + c.path)
		edit, err := f.ReplaceScalar(n, c.value)
		require.NoError(t, err, c.path)
		changed, err := f.Apply(edit)
		require.NoError(t, err, c.path)
		assert.Equal(t, replaceOnce(t, quotes, c.old, c.want), string(changed.Text))
		assert.Equal(t, c.value, changed.Lookup("scrape_configs[0]::"+c.path).Value)
	}
	f := parse(t, quotes)
	for _, path := range []string{"block", "long", "flow", "flow[1]"} {
		_, err := f.ReplaceScalar(f.Lookup("scrape_configs[0]::"+path), "x")
		assert.ErrorIs(t, err, errManyLines, path)
	}
	assert.Equal(t, 20, f.EndColumn(f.Lookup("scrape_configs[0]::single"))+2)
	assert.Equal(t, 11, f.EndColumn(f.Lookup("scrape_configs[0]::flow[0]")))
	assert.Zero(t, f.EndColumn(f.Lookup("scrape_configs[0]::block")))
	assert.Zero(t, f.EndColumn(nil))
}

func replaceOnce(t *testing.T, text, old, replacement string) string {
	t.Helper()
	before, after, found := cut(text, old)
	require.True(t, found, old)
	return before + replacement + after
}

func cut(text, sep string) (before, after string, found bool) {
	for i := 0; i+len(sep) <= len(text); i++ {
		if text[i:i+len(sep)] == sep {
			return text[:i], text[i+len(sep):], true
		}
	}
	return text, "", false
}

func TestDelete(t *testing.T) {
	const list = `scrape_configs:
# first
- job_name: a
  x: 1   # inside

  # still a
  y: |
    # text

# second
- job_name: b
  # end of b
#
# third
- # of c
  job_name: c
# tail
other: [one, "two", three]
`
	for _, c := range []struct {
		path  string
		index int
		want  string
	}{
		{"scrape_configs", 0, `scrape_configs:
# first

# second
- job_name: b
  # end of b
#
# third
- # of c
  job_name: c
# tail
other: [one, "two", three]
`},
		{"scrape_configs", 1, `scrape_configs:
# first
- job_name: a
  x: 1   # inside

  # still a
  y: |
    # text

# second
#
# third
- # of c
  job_name: c
# tail
other: [one, "two", three]
`},
		{"other", 0, replaceOnce(t, list, `one, `, ``)},
		{"other", 1, replaceOnce(t, list, `"two", `, ``)},
		{"other", 2, replaceOnce(t, list, `, three`, ``)},
	} {
		f := parse(t, list)
		edit, err := f.DeleteItem(f.Lookup(c.path), c.index)
		require.NoError(t, err)
		changed, err := f.Apply(edit)
		require.NoError(t, err)
		assert.Equal(t, c.want, string(changed.Text))
	}
	f := parse(t, list)
	_, err := f.DeleteItem(f.Lookup("scrape_configs"), 2)
	require.ErrorIs(t, err, errManyLines, "the dash is on a line of its own")
	_, err = f.DeleteItem(f.Lookup("scrape_configs"), 3)
	require.ErrorContains(t, err, "x.yaml:3:1: there is no item 3")
}

func TestDeleteKey(t *testing.T) {
	const text = "scrape_configs:\n- job_name: a\n  x:\n    y: 1\n  # z\n  z: 2\n- only: 1\n- {flow: 1}\n"
	for key, want := range map[string]string{
		"job_name": "scrape_configs:\n- x:\n    y: 1\n  # z\n  z: 2\n- only: 1\n- {flow: 1}\n",
		"x":        "scrape_configs:\n- job_name: a\n  # z\n  z: 2\n- only: 1\n- {flow: 1}\n",
		"z":        "scrape_configs:\n- job_name: a\n  x:\n    y: 1\n  # z\n- only: 1\n- {flow: 1}\n",
	} {
		f, err := Parse("x.yaml", []byte(text))
		require.NoError(t, err)
		edit, err := f.DeleteKey(f.Lookup("scrape_configs[0]"), key)
		require.NoError(t, err)
		// Parsed again, whatever it is now.
		assert.Equal(t, want, text[:edit.Start]+edit.New+text[edit.End:])
	}
	f := parse(t, text)
	for path, key := range map[string]string{"scrape_configs[1]": "only", "scrape_configs[2]": "flow", "scrape_configs[0]": "none"} {
		_, err := f.DeleteKey(f.Lookup(path), key)
		assert.Error(t, err, key)
	}
}

func TestOverlappingEdits(t *testing.T) {
	f := parse(t, "receivers: {}")
	_, err := f.Apply(Edit{0, 5, "x"}, Edit{3, 4, "y"})
	require.EqualError(t, err, "x.yaml: edits overlap at byte 3: make one after the other")
	_, err = f.Apply(Edit{Start: 0, End: 99})
	require.Error(t, err)
	_, err = f.Apply(Edit{Start: 11, End: 13, New: "["})
	var e *Error
	require.ErrorAs(t, err, &e)
}

// Every rule of the reference configuration can be taken out, and every value of one can be replaced, in place.
func TestEveryRuleCanBeChanged(t *testing.T) {
	f, err := Load("../../configs/collector.yaml")
	require.NoError(t, err)
	for _, j := range f.Jobs() {
		for i := range j.Relabel() {
			edit, err := f.DeleteItem(j.Get("relabel_configs"), i)
			require.NoError(t, err)
			changed, err := f.Apply(edit)
			require.NoError(t, err)
			assert.Len(t, find(t, changed, j.Name).Relabel(), len(j.Relabel())-1)
		}
		for _, r := range append(j.Relabel(), j.MetricRelabel()...) {
			for _, key := range []string{"regex", "action", "target_label", "replacement"} {
				n := Get(r.Node, key)
				if n == nil || n.Kind != yaml.ScalarNode {
					continue
				}
				edit, err := f.ReplaceScalar(n, "drop")
				require.NoError(t, err)
				changed, err := f.Apply(edit)
				require.NoError(t, err)
				assert.Equal(t, "drop", Get(changed.Lookup(r.Path), key).Value)
			}
		}
	}
}

func find(t *testing.T, f *File, job string) Job {
	t.Helper()
	for _, j := range f.Jobs() {
		if j.Name == job {
			return j
		}
	}
	require.Fail(t, "no job", job)
	return Job{}
}
