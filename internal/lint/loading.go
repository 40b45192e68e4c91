// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"

	promconfig "github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/plugins" // registers the discovery mechanisms that the distribution has
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

func brokenRule() Rule {
	return Rule{
		ID: "broken-file", Severity: report.Error, Elsewhere: report.Error,
		Summary: "A file that cannot be read as a configuration.",
		Why:     "Nothing starts with it.",
		Fix:     "mend the YAML",
		Bad:     ofFile("receivers: {}\nreceivers: {}\n"),
		Good:    ofFile("receivers: {}\n"),
	}
}

func loadingRules() []Rule {
	return []Rule{
		brokenRule(),
		{
			ID: "refused", Severity: report.Error, Elsewhere: report.Error,
			Summary: "Something that Prometheus's own loader refuses: an unknown key, a wrong value, a relabel rule that is none.",
			Why:     "The collector or Prometheus does not start with it.",
			Fix:     "mend what the message names",
			Bad:     ofJob("static_configs: [{targets: [tool-manager:3001]}]\nrelabel_configs:\n  - {action: kep, source_labels: [__address__], regex: .+}\n"),
			Good:    ofJob("static_configs: [{targets: [tool-manager:3001]}]\nrelabel_configs:\n  - {action: keep, source_labels: [__address__], regex: .+}\n"),
			check:   checkRefused,
		},
		{
			ID: "duplicate-job", Severity: report.Error, Elsewhere: report.Error,
			Summary: "Two jobs of one name in one receiver or file.",
			Why:     "Nothing starts with them: the label job has to tell their series apart.",
			Fix:     "rename one of the two",
			Bad:     ofJobs("- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: a, static_configs: [{targets: ['b:1']}]}\n"),
			Good:    ofJobs("- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: b, static_configs: [{targets: ['b:1']}]}\n"),
			check:   checkDuplicateJobs,
		},
	}
}

func checkDuplicateJobs(c *checker) {
	first := map[[2]string]job{}
	for _, j := range c.jobs {
		if j.Name == "" {
			continue
		}
		key := [2]string{j.Receiver, j.Name}
		if other, found := first[key]; found {
			c.add(j.Get("job_name"), "job %s is also on line %d", shown(j.Name), other.Pos.Line)
			continue
		}
		first[key] = j
	}
}

// checkRefused gives the jobs to Prometheus's loader, so that the finding has a place those that are refused one by one.
func checkRefused(c *checker) {
	c.eachRule(func(_ job, r configfile.Rule, _ bool) {
		if r.Err != nil {
			c.addRefusal(r.Node, r.Err)
		}
	})
	for _, group := range c.groups() {
		var global *yaml.Node
		if group[0].Global != nil {
			global = c.loadable(group[0].Global)
			withoutWhatOthersFind(global, group[0])
			if err := load(global, nil); err != nil {
				c.addRefusal(group[0].Global, err)
				global = nil
			}
		}
		items := make([]*yaml.Node, len(group))
		for i, j := range group {
			items[i] = c.loadable(j.Node)
			withoutWhatOthersFind(items[i], j)
		}
		left := maxRefusals
		c.loadJobs(global, group, items, &left)
	}
	if c.file.Kind != configfile.Collector {
		c.checkTop(c.file.Root)
	}
	for _, r := range c.receivers() {
		c.checkTop(configfile.Get(r.config, "config"))
	}
}

// topKeys are all keys of a prometheus.yml.
var topKeys = []string{
	"global", "runtime", "alerting", "rule_files", "scrape_config_files", "scrape_configs", "storage", "tracing", "remote_write", "remote_read", "otlp",
}

// checkTop looks at what Prometheus reads as a whole file.
func (c *checker) checkTop(root *yaml.Node) {
	for key := range configfile.Pairs(root) {
		if !slices.Contains(topKeys, key.Value) {
			c.add(key, "Prometheus refuses it: there is no key %s here", shown(key.Value)).Fix = "correct or remove it"
		}
	}
	if files := configfile.Get(root, "scrape_config_files"); files != nil && !c.depends(files) {
		if err := loadTop(map[string]*yaml.Node{"scrape_config_files": c.copyOf(files)}); err != nil {
			c.addRefusal(files, err)
		}
	}
	list := configfile.Get(root, "scrape_configs")
	if list == nil {
		list = root // a bare list
	}
	c.checkItems(list)
}

// checkItems finds items of scrape_configs that are no scrape configuration at all.
func (c *checker) checkItems(list *yaml.Node) {
	for _, item := range configfile.Items(list) {
		if item.Kind != yaml.MappingNode && !c.file.HasReference(item) {
			c.add(item, "is no scrape configuration: a mapping was expected")
		}
	}
}

// maxRefusals bounds what is said about a file in which all is wrong.
const maxRefusals = 500

// groups returns the jobs of each receiver, each job once.
func (c *checker) groups() [][]job {
	var out [][]job
	seen := map[*yaml.Node]bool{}
	for i, j := range c.jobs {
		if i == 0 || c.jobs[i-1].Receiver != j.Receiver {
			out = append(out, nil)
		}
		if last := len(out) - 1; !seen[j.Node] || len(out[last]) == 0 {
			out[last] = append(out[last], j)
		}
		seen[j.Node] = true
	}
	return out
}

// loadJobs loads jobs together, and where that is refused each half, down to the job that is at fault. Alone, those whose name
// is there twice pass: they have a rule of their own.
func (c *checker) loadJobs(global *yaml.Node, jobs []job, items []*yaml.Node, left *int) {
	if *left == 0 {
		return
	}
	err := load(global, items)
	switch {
	case err == nil:
	case len(jobs) == 1:
		*left--
		c.addRefusal(jobs[0].Node, err)
	default:
		half := len(jobs) / 2
		c.loadJobs(global, jobs[:half], items[:half], left)
		c.loadJobs(global, jobs[half:], items[half:], left)
	}
}

func load(global *yaml.Node, jobs []*yaml.Node) error {
	top := map[string]*yaml.Node{}
	if global != nil {
		top["global"] = global
	}
	if len(jobs) > 0 {
		top["scrape_configs"] = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: jobs}
	}
	return loadTop(top)
}

func loadTop(top map[string]*yaml.Node) error {
	text, err := yaml.Marshal(top)
	if err != nil {
		return err
	}
	_, err = promconfig.Load(string(text), slog.New(slog.DiscardHandler))
	return err
}

// withoutWhatOthersFind takes out of a job what has a rule of its own: relabel rules, which are judged one by one, discovery
// that is not built in, and a timeout, which is judged together with the interval of all jobs.
func withoutWhatOthersFind(item *yaml.Node, j job) {
	content := item.Content[:0]
	for i := 0; i+1 < len(item.Content); i += 2 {
		key, value := item.Content[i], item.Content[i+1]
		switch {
		case key.Value == "relabel_configs", key.Value == "metric_relabel_configs":
			if !slices.ContainsFunc(slices.Concat(j.relabel, j.metricRelabel), func(r configfile.Rule) bool { return r.Err != nil || len(r.Unresolved) > 0 }) {
				content = append(content, key, value)
			}
		case isOther(key.Value), key.Value == "scrape_timeout":
		default:
			content = append(content, key, value)
		}
	}
	item.Content = content
}

// loadable copies a mapping with its aliases replaced and with references replaced by their defaults. Of a job, what is below
// a key and depends on a reference without a default is left out: it cannot be judged. In lists and names it becomes a word.
func (c *checker) loadable(n *yaml.Node) *yaml.Node {
	out := c.copyOf(n)
	out.Content = nil
	for key, value := range configfile.Pairs(n) {
		if key.Value == "job_name" || !c.depends(value) {
			out.Content = append(out.Content, c.copyOf(key), c.copyOf(value))
		}
	}
	return out
}

// depends says whether the value of a key, here or below, is only known when the collector starts.
func (c *checker) depends(n *yaml.Node) bool {
	n = configfile.Resolve(n)
	switch n.Kind {
	case yaml.ScalarNode:
		_, known := c.file.Known(n)
		return !known
	case yaml.MappingNode:
		for _, value := range configfile.Pairs(n) {
			if c.depends(value) {
				return true
			}
		}
	case yaml.SequenceNode:
		return slices.ContainsFunc(configfile.Items(n), func(item *yaml.Node) bool { return item.Kind != yaml.ScalarNode && c.depends(item) })
	}
	return false
}

func (c *checker) copyOf(n *yaml.Node) *yaml.Node {
	n = configfile.Resolve(n)
	out := *n
	out.Anchor, out.HeadComment, out.LineComment, out.FootComment = "", "", "", ""
	switch n.Kind {
	case yaml.ScalarNode:
		value, known := c.file.Known(n)
		if !known {
			value = referenceText.ReplaceAllString(n.Value, "reference")
		}
		if value != n.Value && n.Style == 0 {
			out.Tag = "" // what it is without the reference
		}
		out.Value = value
	case yaml.MappingNode:
		out.Content = nil
		for key, value := range configfile.Pairs(n) {
			out.Content = append(out.Content, c.copyOf(key), c.copyOf(value))
		}
	default:
		out.Content = make([]*yaml.Node, len(n.Content))
		for i, child := range n.Content {
			out.Content[i] = c.copyOf(child)
		}
	}
	return &out
}

var (
	referenceText = regexp.MustCompile(`\$\{[^{}]*\}`)
	unknownField  = regexp.MustCompile(`field (\S+) (?:not found|already set) in type`)
	atLine        = regexp.MustCompile(`(?:yaml: )?(?:unmarshal errors:\s*)?(?:\n\s*)?line \d+: `)
	inType        = regexp.MustCompile(` in type \S+`)
	intoType      = regexp.MustCompile(` into \S+$`)
)

// renamed are keys of Prometheus that have another name now.
var renamed = map[string]string{
	"scrape_classic_histograms": "it is called always_scrape_classic_histograms since Prometheus 3.0",
	"enable_open_metrics":       "the formats are listed in scrape_protocols",
}

// addRefusal puts an error of the loader where it belongs: the loader knows lines of a text that the user has never seen.
func (c *checker) addRefusal(n *yaml.Node, err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n")
	message = strings.TrimSpace(intoType.ReplaceAllString(atLine.ReplaceAllString(message, ""), ""))
	message, _, _ = strings.Cut(message, "\n")
	if kind := secrets.Find(message); kind != "" {
		message = "a value that looks like a secret (" + kind + ") is not valid"
	}
	at := n
	fix := ""
	if m := unknownField.FindStringSubmatch(message); m != nil {
		message = "there is no key " + shown(m[1]) + " here"
		fix = cmpOr(renamed[m[1]], "correct or remove it")
		if key := keyBelow(n, m[1], 0); key != nil {
			at = key
		}
	} else if value := quotedValue(message); value != "" {
		if v := c.valueBelow(n, value, 0); v != nil {
			at = v
		}
	}
	f := c.add(at, "Prometheus refuses it: %s", inType.ReplaceAllString(message, ""))
	if fix != "" {
		f.Fix = fix
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

var quoted = regexp.MustCompile("[\"`]((?:[^\"`\\\\]|\\\\.)+)[\"`]")

func quotedValue(message string) string {
	m := quoted.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	return m[1]
}

const searchDepth = 8

// keyBelow finds a key in a value or below it.
func keyBelow(n *yaml.Node, name string, depth int) *yaml.Node {
	n = configfile.Resolve(n)
	if n == nil || depth > searchDepth {
		return nil
	}
	if key := configfile.Key(n, name); key != nil {
		return key
	}
	for _, child := range n.Content {
		if key := keyBelow(child, name, depth+1); key != nil {
			return key
		}
	}
	return nil
}

// valueBelow finds a scalar with a text in a value or below it.
func (c *checker) valueBelow(n *yaml.Node, text string, depth int) *yaml.Node {
	n = configfile.Resolve(n)
	if n == nil || depth > searchDepth {
		return nil
	}
	if n.Kind == yaml.ScalarNode && c.file.Value(n) == text {
		return n
	}
	for _, child := range n.Content {
		if v := c.valueBelow(child, text, depth+1); v != nil {
			return v
		}
	}
	return nil
}
