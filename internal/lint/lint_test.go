// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

var update = flag.Bool("update", false, "write docs/lint-rules.md and the golden files")

func check(t *testing.T, text string) []Finding {
	t.Helper()
	f, err := configfile.Parse("x.yaml", []byte(text))
	if err != nil {
		finding, broken := Broken(err)
		require.True(t, broken)
		return []Finding{finding}
	}
	return Check(f)
}

// lines writes findings as rule:line:column.
func lines(findings []Finding) []string {
	out := []string{}
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s:%d:%d", f.Rule, f.Line, f.Column))
	}
	return out
}

// Every rule finds its bad example, and nothing finds anything in a good one.
func TestExamples(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range Rules() {
		t.Run(r.ID, func(t *testing.T) {
			assert.False(t, ids[r.ID], "twice")
			ids[r.ID] = true
			assert.Regexp(t, `^[a-z]+(-[a-z]+)*$`, r.ID)
			for _, sentence := range []string{r.Summary, r.Why} {
				assert.Regexp(t, regexp.MustCompile(`(?s)^[A-Za-z_].*\.$`), sentence)
			}
			assert.NotEmpty(t, r.Fix)
			found := false
			fixable := false
			for _, f := range check(t, r.Bad.File()) {
				if f.Rule == r.ID {
					found, fixable = true, fixable || f.Fixable()
					assert.NotEmpty(t, f.Why)
					assert.Positive(t, f.Line)
				}
			}
			assert.True(t, found, "nothing found in\n%s", r.Bad.File())
			if fixable {
				assert.True(t, r.Fixable)
			}
			for _, f := range check(t, r.Good.File()) {
				assert.Fail(t, "found", "%s:%d: %s (%s) in\n%s", f.File, f.Line, f.Message, f.Rule, r.Good.File())
			}
		})
	}
}

// The project's own configurations have nothing that a rule finds.
func TestReferenceConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		f, err := configfile.Load(path)
		require.NoError(t, err)
		for _, finding := range Check(f) {
			assert.Fail(t, "found", "%s:%d:%d: %s: %s (%s)", path, finding.Line, finding.Column, finding.Severity, finding.Message, finding.Rule)
		}
	}
}

// The page of the documentation is written from the rules.
func TestDocumentIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Rules of `runnerctl lint`\n\n" +
		"Each finding names a rule. The severity is that in a configuration of the collector, and that in a file of Prometheus, where the rule looks at those.\n" +
		"Infos alone do not make the command fail. *Fixable* are rules of which `--fix` mends some findings.\n\n" +
		"A finding is silenced by a comment with a reason, on its line or alone on the line above; above the first line of a file, it is silenced in the whole file:\n\n" +
		"```yaml\nscrape_interval: 10s # runnerctl-lint: disable=interval-range the test bed is slow to start\n```\n\n" +
		"This file is written by `go test ./internal/lint -update`.\n\n" +
		"| rule | collector | Prometheus | fixable | finds |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range Rules() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s |\n", r.ID, r.ID, word(r.Severity), word(r.Elsewhere), map[bool]string{true: "yes", false: ""}[r.Fixable], r.Summary)
	}
	for _, r := range Rules() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s\n\nWhat to do: %s.\n\nFound:\n\n```yaml\n%s```\n\nNot found:\n\n```yaml\n%s```\n", r.ID, r.Summary, r.Why, r.Fix, r.Bad.Text, r.Good.Text)
	}
	path := filepath.Join("..", "..", "docs", "lint-rules.md")
	if *update {
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644)) //nolint:gosec // documentation, for everyone to read
	}
	got, err := os.ReadFile(path) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	assert.Equal(t, b.String(), string(got), "written by go test ./internal/lint -update")
}

func word(s report.Severity) string {
	if s == 0 {
		return "-"
	}
	return s.String()
}

// The configuration that runners had before, with what was wrong in it.
func TestLegacyConfiguration(t *testing.T) {
	f, err := configfile.Load("testdata/legacy.yaml")
	require.NoError(t, err)
	var b strings.Builder
	for _, finding := range Check(f) {
		fmt.Fprintf(&b, "%d:%d: %s: %s (%s)\n", finding.Line, finding.Column, finding.Severity, finding.Message, finding.Rule)
	}
	golden(t, "testdata/legacy.findings", b.String())
	for _, rule := range []string{"target-twice", "constant-instance", "no-namespace", "refused-key", "interval-range"} {
		assert.Contains(t, b.String(), "("+rule+")")
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of the repository
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestFast(t *testing.T) {
	f, err := configfile.Load("../../configs/collector.yaml")
	require.NoError(t, err)
	begin := time.Now()
	Check(f)
	assert.Less(t, time.Since(begin), 200*time.Millisecond)
}

// What can be mended is gone afterwards, and everything else stays as it is.
func TestFix(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"dollar": {
			ofJob("relabel_configs:\n  - {source_labels: [a], regex: '(.+)', target_label: b, replacement: '${1}-$1-$$2-${env:X}'} # é $1\n").File(),
			ofJob("relabel_configs:\n  - {source_labels: [a], regex: '(.+)', target_label: b, replacement: '$${1}-$$1-$$2-${env:X}'} # é $1\n").File(),
		},
		"order": {
			"service:\n  pipelines:\n    metrics: {processors: [runner, 'resource/a', memory_limiter, batch], exporters: [durable_remote_write]} # x\n",
			"service:\n  pipelines:\n    metrics: {processors: [memory_limiter, 'runner', resource/a], exporters: [durable_remote_write]} # x\n",
		},
		"order in a block": {
			"service:\n  pipelines:\n    metrics:\n      processors:\n        - batch # first\n        - memory_limiter\n        # second\n        - runner\n      exporters: [durable_remote_write]\n",
			"service:\n  pipelines:\n    metrics:\n      processors:\n        - memory_limiter # first\n        # second\n        - runner\n      exporters: [durable_remote_write]\n",
		},
		"keys": {
			"receivers:\n  prometheus:\n    use_start_time_metric: true # old\n    start_time_metric_regex: x\n    config: {}\n",
			"receivers:\n  prometheus:\n    config: {}\n",
		},
		"label": {
			ofJob("kubernetes_sd_configs: [{role: pod, namespaces: {names: [a]}}]\nrelabel_configs:\n  - {source_labels: [__meta_kubernetes_pod_label_a.b/c], target_label: b}\n").File(),
			ofJob("kubernetes_sd_configs: [{role: pod, namespaces: {names: [a]}}]\nrelabel_configs:\n  - {source_labels: [__meta_kubernetes_pod_label_a_b_c], target_label: b}\n").File(),
		},
		"nothing": {"service: {}\n", "service: {}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := configfile.Parse("x.yaml", []byte(c.text))
			require.NoError(t, err)
			mended, done := Fix(f)
			assert.Equal(t, c.want, string(mended.Text))
			assert.Equal(t, c.text != c.want, len(done) > 0)
			for _, finding := range Check(mended) {
				assert.False(t, finding.Fixable(), finding.Message)
			}
		})
	}
}

// Edits that touch are made one after the other.
func TestSelectEdits(t *testing.T) {
	at := func(start, end int) Finding { return Finding{edits: []configfile.Edit{{Start: start, End: end}}} }
	edits, chosen := selectEdits([]Finding{at(5, 9), at(0, 5), {}, at(10, 12), at(11, 13)})
	assert.Equal(t, []configfile.Edit{{Start: 0, End: 5}, {Start: 10, End: 12}}, edits)
	assert.Len(t, chosen, 2)
}

func TestSilences(t *testing.T) {
	const job = "- job_name: a\n  scrape_interval: 5s%s\n  static_configs: [{targets: ['a:1']}]\n"
	list := func(text string) []string { return lines(check(t, text)) }
	assert.Equal(t, []string{"interval-range:2:20"}, list(fmt.Sprintf(job, "")))
	assert.Empty(t, list(fmt.Sprintf(job, " # runnerctl-lint: disable=interval-range it is a test")))
	assert.Empty(t, list("# runnerctl-lint: disable=interval-range it is a test\n\n"+fmt.Sprintf(job, "")))
	assert.Empty(t, list(strings.Replace(fmt.Sprintf(job, ""), "  scrape", "  # runnerctl-lint: disable=interval-range it is a test\n  # and more\n\n  scrape", 1)))
	assert.Equal(t, []string{"bad-silence:2:23"}, list(fmt.Sprintf(job, " # runnerctl-lint: disable=interval-range")))
	assert.Equal(t, []string{"interval-range:2:20", "bad-silence:2:23", "bad-silence:3:1"}[:2], list(fmt.Sprintf(job, " # runnerctl-lint: disable=nothing why not"))[:2])
	assert.Equal(t, []string{"bad-silence:2:23"}, list(fmt.Sprintf(job, " # runnerctl-lint: disable=interval-range,honor-labels it is a test")))
	assert.Equal(t, []string{"interval-range:2:20", "bad-silence:2:23"}, list(fmt.Sprintf(job, " # runnerctl-lint: interval-range")))
	assert.Equal(t, []string{"interval-range:2:20", "bad-silence:4:1"}, list(fmt.Sprintf(job, "")+"# runnerctl-lint: disable=interval-range too late\n"))
}

// A secret is found and shown nowhere.
func TestSecretsAreNotShown(t *testing.T) {
	token := "gh" + "p_" + strings.Repeat("aB1cD2", 6)
	text := ofJob("basic_auth: {username: x, password: correct-horse}\nrelabel_configs:\n  - {source_labels: [a], regex: '" + token + ".x(', target_label: b} # " + token + "\n").File()
	found := check(t, text)
	rules := map[string]bool{}
	for _, f := range found {
		rules[f.Rule] = true
		for _, part := range []string{f.Message, f.Why, f.Fix, f.Source} {
			assert.NotContains(t, part, token)
			assert.NotContains(t, part, "correct-horse")
		}
	}
	assert.True(t, rules["secret"])
	assert.True(t, rules["refused"])
	for _, harmless := range []string{"${env:PASSWORD}", "<secret>", "''", "~", "'********'", "..."} {
		assert.Empty(t, check(t, ofJob("basic_auth:\n  username: x\n  password: "+harmless+"\n").File()), harmless)
	}
	assert.NotEmpty(t, check(t, ofJob("basic_auth: {username: x, password: '${env:PASSWORD:-hunter2}'}\n").File()))
}

// Files that are made to be slow are judged in time.
func TestHostile(t *testing.T) {
	var jobs, rules, dots, aliases strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&jobs, "- {job_name: a%d, honor_labels: true, scrape_interval: 1s, bad: 1}\n", i)
		fmt.Fprintf(&rules, "    - {source_labels: [__meta_kubernetes_pod_label_a.%d], target_label: pod_ip, replacement: $$1}\n", i)
		fmt.Fprintf(&dots, "a.b|(c?d?e?f?)_count|")
	}
	for i := range 1_000 {
		fmt.Fprintf(&aliases, "- {job_name: b%d, relabel_configs: *r}\n", i)
	}
	for name, text := range map[string]string{
		"jobs":    jobs.String(),
		"rules":   "- job_name: a\n  kubernetes_sd_configs: [{role: pod}]\n  relabel_configs:\n" + rules.String(),
		"regex":   "- job_name: a\n  metric_relabel_configs: [{source_labels: [__name__], action: drop, regex: '" + dots.String() + "x'}]\n",
		"repeat":  "- job_name: a\n  metric_relabel_configs: [{source_labels: [__name__], action: drop, regex: '((a?){30}){30}_count(.{1,900})?$^'}]\n",
		"aliases": "- job_name: a\n  relabel_configs: &r\n" + strings.Repeat("    - {source_labels: [x], target_label: y}\n", 30) + aliases.String(),
		"quiet":   strings.Repeat("# runnerctl-lint: disable=interval-range x\n", 5_000) + jobs.String(),
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			f, err := configfile.Parse("x.yaml", []byte(text))
			require.NoError(t, err)
			Fix(f)
			assert.Less(t, time.Since(begin), 20*time.Second)
			t.Log(time.Since(begin))
		})
	}
}

func FuzzCheck(f *testing.F) {
	for _, r := range Rules() {
		f.Add([]byte(r.Bad.File()))
	}
	legacy, err := os.ReadFile("testdata/legacy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(legacy)
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := configfile.Parse("x.yaml", text)
		if err != nil {
			return
		}
		mended, done := Fix(file)
		if len(done) == 0 && !bytes.Equal(mended.Text, text) {
			t.Fatalf("changed without a word: %q", mended.Text)
		}
		for _, finding := range Check(mended) {
			if finding.Line > mended.Lines() || finding.Line < 1 {
				t.Fatalf("%s: line %d of %d", finding.Rule, finding.Line, mended.Lines())
			}
		}
	})
}
