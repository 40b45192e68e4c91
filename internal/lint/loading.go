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
			Summary: "Two jobs of one name.",
			Why:     "Prometheus refuses them; two receivers with a job of one name write series that cannot be told apart.",
			Fix:     "rename one of the two",
			Bad:     ofJobs("- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: a, static_configs: [{targets: ['b:1']}]}\n"),
			Good:    ofJobs("- {job_name: a, static_configs: [{targets: ['a:1']}]}\n- {job_name: b, static_configs: [{targets: ['b:1']}]}\n"),
			check:   checkDuplicateJobs,
		},
	}
}

func checkDuplicateJobs(c *checker) {
	first := map[string]job{}
	for _, j := range c.jobs {
		if j.Name == "" {
			continue
		}
		if other, found := first[j.Name]; found {
			c.add(j.Get("job_name"), "job %s is also on line %d", shown(j.Name), other.Pos.Line)
			continue
		}
		first[j.Name] = j
	}
}

// checkRefused gives each job to Prometheus's loader, alone, so that the finding has a place.
func checkRefused(c *checker) {
	c.eachRule(func(_ job, r configfile.Rule, _ bool) {
		if r.Err != nil {
			c.addRefusal(r.Node, r.Err)
		}
	})
	seen := map[*yaml.Node]bool{}
	globals := map[*yaml.Node]bool{}
	for _, j := range c.jobs {
		if j.Global != nil && !globals[j.Global] {
			globals[j.Global] = true
			if err := load(map[string]*yaml.Node{"global": c.loadable(j.Global)}); err != nil {
				c.addRefusal(j.Global, err)
			}
		}
		if seen[j.Node] {
			continue
		}
		seen[j.Node] = true
		item := c.loadable(j.Node)
		withoutWhatOthersFind(item, j)
		if err := load(map[string]*yaml.Node{"scrape_configs": {Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{item}}}); err != nil {
			c.addRefusal(j.Node, err)
		}
	}
	if list := c.file.Lookup("scrape_configs"); c.file.Kind != configfile.Collector && list != nil {
		c.checkItems(list)
	}
	for _, r := range c.receivers() {
		c.checkItems(configfile.Get(r.config, "config", "scrape_configs"))
	}
}

// checkItems finds items of scrape_configs that are no scrape configuration at all.
func (c *checker) checkItems(list *yaml.Node) {
	for _, item := range configfile.Items(list) {
		if item.Kind != yaml.MappingNode && !c.file.HasReference(item) {
			c.add(item, "is no scrape configuration: a mapping was expected")
		}
	}
}

func load(top map[string]*yaml.Node) error {
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
		case isDiscovery(key.Value) && !slices.Contains(builtIn, key.Value), key.Value == "scrape_timeout":
		default:
			content = append(content, key, value)
		}
	}
	item.Content = content
}

// loadable copies a value with its aliases replaced and with references replaced by their defaults. A key whose value has none
// is left out, as part of a text it becomes a word.
func (c *checker) loadable(n *yaml.Node) *yaml.Node {
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
			resolved := configfile.Resolve(value)
			if _, known := c.file.Known(resolved); !known && resolved.Kind == yaml.ScalarNode {
				continue
			}
			k := *key
			k.Anchor, k.HeadComment, k.LineComment, k.FootComment = "", "", "", ""
			out.Content = append(out.Content, &k, c.loadable(value))
		}
	default:
		out.Content = make([]*yaml.Node, len(n.Content))
		for i, child := range n.Content {
			out.Content[i] = c.loadable(child)
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
	"bearer_token_secret":       "it is a key of a ServiceMonitor: use authorization with credentials_file",
	"scrape_classic_histogram":  "it is called always_scrape_classic_histograms since Prometheus 3.0",
}

// addRefusal puts an error of the loader where it belongs: the loader knows lines of a text that the user has never seen.
func (c *checker) addRefusal(n *yaml.Node, err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n")
	message = strings.TrimSpace(intoType.ReplaceAllString(atLine.ReplaceAllString(message, ""), ""))
	message, _, _ = strings.Cut(message, "\n")
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
