// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

func itoa(n int) string { return strconv.Itoa(n) }

func labelName(name string) model.LabelName { return model.LabelName(name) }

func regexpRules() []Rule {
	const static = "static_configs: [{targets: ['tool-manager:3001']}]\n"
	const pods = "kubernetes_sd_configs:\n  - {role: pod, namespaces: {names: [runner]}}\n"
	return []Rule{
		{
			ID: "unescaped-dot", Severity: report.Warning, Elsewhere: report.Warning,
			Summary: "A dot between letters or digits of a regex that is not escaped.",
			Why:     "A dot matches any character: 10.0.0.1 also matches 10.0.011, and what it lets through or drops besides is noticed by nobody.",
			Fix:     `write \. for a dot, or [^/] and the like for what is meant`,
			Bad:     ofJob(static + "relabel_configs:\n  - {action: keep, source_labels: [__address__], regex: 'tools.example.com:443'}\n"),
			Good:    ofJob(static + "relabel_configs:\n  - {action: keep, source_labels: [__address__], regex: 'tools\\.example\\.com:443'}\n"),
			check:   checkDots,
		},
		{
			ID: "never-matches", Severity: report.Error, Elsewhere: report.Error,
			Summary: "A regex that nothing can match, or none of the values that the label has.",
			Why:     "A keep rule with it drops everything, any other does nothing.",
			Fix:     "correct the regex; case counts, and ^ and $ stand only at the ends",
			Bad:     ofJob(pods + "relabel_configs:\n  - {action: keep, source_labels: [__meta_kubernetes_pod_phase], regex: running}\n"),
			Good:    ofJob(pods + "relabel_configs:\n  - {action: keep, source_labels: [__meta_kubernetes_pod_phase], regex: Running}\n"),
			check:   checkNeverMatches,
		},
		{
			ID: "half-anchored", Severity: report.Warning, Elsewhere: report.Warning,
			Summary: "A regex with an anchor at one end only, or that ends where a name goes on.",
			Why:     "Prometheus anchors every regex at both ends: ^go_ matches the name go_ and nothing else.",
			Fix:     "write .* at the open end, or leave the anchor out",
			Bad:     ofJob(static + "metric_relabel_configs:\n  - {action: drop, source_labels: [__name__], regex: ^go_}\n"),
			Good:    ofJob(static + "metric_relabel_configs:\n  - {action: drop, source_labels: [__name__], regex: go_.*}\n"),
			check:   checkAnchors,
		},
		{
			ID: "dollar", Severity: report.Warning, Elsewhere: report.Error, Fixable: true,
			Summary: "A $ for Prometheus that is not written $$ in a configuration of the collector, or $$ in a file of Prometheus.",
			Why: "The collector takes ${1} for a reference and does not start; $1 was one up to v0.106 and became empty. $$ is a $ in every version. " +
				"Prometheus itself takes $$1 for a $ and a 1.",
			Fix:   "write $$ for each $ that Prometheus is to see",
			Bad:   ofJob(static + "relabel_configs:\n  - {source_labels: [__address__], regex: '(.+):\\d+', target_label: host, replacement: '${1}'}\n"),
			Good:  ofJob(static + "relabel_configs:\n  - {source_labels: [__address__], regex: '(.+):\\d+', target_label: host, replacement: '$${1}'}\n"),
			check: checkDollar,
		},
	}
}

// eachRegex calls visit for every regex that is written down and can be judged.
func (c *checker) eachRegex(visit func(j job, r configfile.Rule, metric bool)) {
	c.eachRule(func(j job, r configfile.Rule, metric bool) {
		if r.Err == nil && !slices.Contains(r.Unresolved, "regex") && configfile.Get(r.Node, "regex") != nil {
			visit(j, r, metric)
		}
	})
}

func checkDots(c *checker) {
	c.eachRegex(func(_ job, r configfile.Rule, _ bool) {
		expression := r.Config.Regex.String()
		dots := bareDots(expression)
		if len(dots) == 0 || looksAtNumbers(r) {
			return
		}
		var escaped strings.Builder
		from := 0
		for _, at := range dots {
			escaped.WriteString(expression[from:at] + `\`)
			from = at
		}
		escaped.WriteString(expression[from:])
		c.add(regexNode(r), "the dot in %s matches any character", shown(expression)).Fix = "write " + shownPlain(c.written(escaped.String())) + ", if dots are meant"
	})
}

// looksAtNumbers says whether a rule is about le or quantile, in whose values a dot has no other character in its place.
func looksAtNumbers(r configfile.Rule) bool {
	return slices.Contains(r.Config.SourceLabels, "le") || slices.Contains(r.Config.SourceLabels, "quantile")
}

// written is how a text for Prometheus is written in the file.
func (c *checker) written(text string) string {
	if c.file.Kind == configfile.Collector {
		return strings.ReplaceAll(text, "$", "$$")
	}
	return text
}

// shownPlain shows a text that is to be written, without quotes of its own.
func shownPlain(text string) string {
	return strings.Trim(strings.ReplaceAll(shown(text), `\\`, `\`), `"`)
}

func isWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// bareDots returns where a dot stands between two plain letters or digits, not in a class and not repeated.
func bareDots(expression string) []int {
	var dots []int
	plain := false // the byte before is a letter or digit that stands for itself
	for i := 0; i < len(expression); i++ {
		switch b := expression[i]; b {
		case '\\':
			i++
			plain = false
		case '[':
			i += classEnd(expression[i:])
			plain = false
		case '.':
			if plain && i+1 < len(expression) && isWord(expression[i+1]) {
				dots = append(dots, i)
			}
			plain = false
		default:
			plain = isWord(b)
		}
	}
	return dots
}

// classEnd returns how far the closing bracket of a class is.
func classEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == ']' && i > 1 && text[1:i] != "^":
			return i
		}
	}
	return len(text)
}

// known are the labels that have few values, and these.
var known = map[string][]string{
	"__meta_kubernetes_pod_phase":                               {"Pending", "Running", "Succeeded", "Failed", "Unknown"},
	"__meta_kubernetes_pod_ready":                               {"true", "false", "unknown"},
	"__meta_kubernetes_pod_container_init":                      {"true", "false"},
	"__meta_kubernetes_pod_container_port_protocol":             {"TCP", "UDP", "SCTP"},
	"__meta_kubernetes_service_port_protocol":                   {"TCP", "UDP", "SCTP"},
	"__meta_kubernetes_service_type":                            {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"},
	"__meta_kubernetes_endpoint_ready":                          {"true", "false"},
	"__meta_kubernetes_endpointslice_endpoint_conditions_ready": {"true", "false"},
}

// knownValues returns the values of a label, where these are known, and the empty one.
func knownValues(name string) []string {
	if list, found := known[name]; found {
		return list
	}
	if strings.HasPrefix(name, kubernetesPrefix) && (strings.Contains(name, "_labelpresent_") || strings.Contains(name, "_annotationpresent_")) {
		return []string{"true"}
	}
	return nil
}

func checkNeverMatches(c *checker) {
	c.eachRegex(func(_ job, r configfile.Rule, _ bool) {
		expression := r.Config.Regex.String()
		if !canMatch(expression) {
			c.add(regexNode(r), "nothing matches %s", shown(expression))
			return
		}
		if len(r.Config.SourceLabels) != 1 {
			return
		}
		name := string(r.Config.SourceLabels[0])
		list := knownValues(name)
		if len(list) == 0 || r.Config.Regex.MatchString("") || slices.ContainsFunc(list, r.Config.Regex.MatchString) {
			return
		}
		c.add(regexNode(r), "%s matches none of the values of %s", shown(expression), name).Fix = "the label is one of " + strings.Join(list, ", ")
	})
}

// canMatch says whether there is a text that an anchored regular expression matches. It errs on the side of yes.
func canMatch(expression string) bool {
	parsed, err := syntax.Parse("^(?s:"+expression+")$", syntax.Perl)
	if err != nil {
		return true
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return true
	}
	type state struct {
		pc              uint32
		consumed, ended bool
	}
	seen := map[state]bool{}
	stack := []state{{pc: uint32(prog.Start)}} //nolint:gosec // an index into the program
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[s] {
			continue
		}
		seen[s] = true
		inst := &prog.Inst[s.pc]
		next := state{inst.Out, s.consumed, s.ended}
		switch inst.Op {
		case syntax.InstMatch:
			return true
		case syntax.InstFail:
			continue
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, state{inst.Arg, s.consumed, s.ended})
		case syntax.InstEmptyWidth:
			flags := syntax.EmptyOp(inst.Arg) //nolint:gosec // flags of one byte
			if flags&syntax.EmptyBeginText != 0 && s.consumed {
				continue
			}
			next.ended = s.ended || flags&syntax.EmptyEndText != 0
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if s.ended || len(inst.Rune) == 0 && inst.Op == syntax.InstRune {
				continue
			}
			next.consumed = true
		}
		stack = append(stack, next)
	}
	return false
}

// matchesEverything says whether a regular expression matches every text: .*, (.*) and the like.
func matchesEverything(expression string) bool {
	parsed, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	return err == nil && matchesAll(parsed)
}

func matchesAll(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar:
		return re.Sub[0].Op == syntax.OpAnyChar
	case syntax.OpCapture, syntax.OpQuest:
		return matchesAll(re.Sub[0])
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, matchesAll)
	case syntax.OpConcat:
		all := false
		for _, sub := range re.Sub {
			switch {
			case matchesAll(sub):
				all = true
			case sub.Op != syntax.OpBeginText && sub.Op != syntax.OpEndText && sub.Op != syntax.OpEmptyMatch:
				return false
			}
		}
		return all
	}
	return false
}

func checkAnchors(c *checker) {
	c.eachRegex(func(_ job, r configfile.Rule, _ bool) {
		expression := r.Config.Regex.String()
		parsed, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
		if err != nil {
			return
		}
		switch begin, end := anchored(parsed); {
		case begin && !end:
			c.add(regexNode(r), "%s is anchored at its end too: it matches no longer text", shown(expression))
		case end && !begin:
			c.add(regexNode(r), "%s is anchored at its beginning too: it matches no longer text", shown(expression))
		case endsOpen(r, expression):
			c.add(regexNode(r), "%s matches the name %s only, and no name that goes on", shown(expression), shown(expression)).Fix = "write " + shownPlain(expression) + ".*"
		}
	})
}

// anchored says at which ends an expression has an anchor, and is not open there all the same.
func anchored(re *syntax.Regexp) (begin, end bool) {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpConcat || len(re.Sub) < 2 {
		return false, false
	}
	first, last := re.Sub[0], re.Sub[len(re.Sub)-1]
	begin, end = first.Op == syntax.OpBeginText || first.Op == syntax.OpBeginLine, last.Op == syntax.OpEndText || last.Op == syntax.OpEndLine
	switch {
	case begin && !end && isOpen(last), end && !begin && isOpen(first):
		return false, false
	}
	return begin, end
}

// isOpen says whether an expression takes any text: .*, (.+).
func isOpen(re *syntax.Regexp) bool {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpCharClass
	}
	return false
}

var openName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*_$`)

// endsOpen says whether a rule about names of metrics names something that can only be the beginning of one.
func endsOpen(r configfile.Rule, expression string) bool {
	if r.Config.Action != relabel.Keep && r.Config.Action != relabel.Drop {
		return false
	}
	return len(r.Config.SourceLabels) == 1 && r.Config.SourceLabels[0] == "__name__" && openName.MatchString(expression)
}

// dollarKeys are the keys of a rule that Prometheus replaces $ in, or that are regular expressions.
var dollarKeys = []string{"replacement", "target_label", "regex"}

// groupReference is $1, ${1}, $name and ${name}, with the $ in front of it.
var groupReference = regexp.MustCompile(`\$+(\{\w+\}|\w+)`)

func checkDollar(c *checker) {
	c.eachRule(func(_ job, r configfile.Rule, _ bool) {
		for _, key := range dollarKeys {
			n := configfile.Get(r.Node, key)
			if n == nil {
				continue
			}
			if c.file.Kind != configfile.Collector {
				if key != "regex" && strings.Contains(n.Value, "$$") {
					f := c.add(n, "%s is a $ and not a group for Prometheus", shown(n.Value))
					f.Fix = "write one $: $$ is for configurations of the collector"
					c.replace(f, n, strings.ReplaceAll(n.Value, "$$", "$"))
				}
				continue
			}
			value, single := doubled(n.Value, groupNames(r))
			if single == "" {
				continue
			}
			f := c.add(n, "%s in %s is written with one $", shown(single), key)
			if strings.HasPrefix(single, "${") {
				f.Severity = report.Error
				f.Message = shown(single) + " in " + key + " is a reference to the environment for the collector"
			}
			f.Fix = "write " + shownPlain(value)
			c.replace(f, n, value)
		}
	})
}

// groupNames returns the named groups of a rule's regex.
func groupNames(r configfile.Rule) []string {
	if r.Config.Regex.Regexp == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.Config.Regex.SubexpNames()), func(name string) bool { return name == "" })
}

// doubled writes $$ for the $ of group references, and returns the first that had one.
func doubled(text string, names []string) (value, single string) {
	value = groupReference.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.Trim(strings.TrimLeft(m, "$"), "{}")
		dollars := len(m) - len(strings.TrimLeft(m, "$"))
		_, err := strconv.Atoi(name)
		if dollars%2 == 0 || err != nil && !slices.Contains(names, name) {
			return m
		}
		if single == "" {
			single = m
		}
		return "$" + m
	})
	return value, single
}
