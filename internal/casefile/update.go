// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/scrapetest"
	"github.com/kubiyabot/otelcol-runner/internal/secrets"
)

// Update is a test file with what was delivered in place of what was expected. Comments and formatting are as they were.
type Update struct {
	// File is the path.
	File string
	// Before and After are the text.
	Before, After []byte
	// Count is how many expectations have changed.
	Count int
}

// Diff shows the change in the unified format.
func (u *Update) Diff() (string, error) {
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(string(u.Before)), B: difflib.SplitLines(string(u.After)), FromFile: u.File, ToFile: u.File, Context: 1,
	})
}

// Updates are the files of which expectations can be written anew: values of series, counts, numbers and lists of targets, drops, results of
// PromQL, and what was left empty. Comparisons are kept, and so is what several configurations disagree about.
func (r *Report) Updates() ([]Update, error) {
	// What stands in one place, such as the anchor of several aliases, has one value.
	type place map[*yaml.Node]*replacement
	byFile := map[*File]place{}
	var files []*File
	for i := range r.outcomes {
		o := &r.outcomes[i]
		if byFile[o.file] == nil {
			byFile[o.file] = place{}
			files = append(files, o.file)
		}
		for k := range o.verdicts {
			e := &o.test.expect[k]
			if e.value == nil {
				continue
			}
			if byFile[o.file][e.value] == nil {
				byFile[o.file][e.value] = &replacement{expectation: e}
			}
			byFile[o.file][e.value].verdicts = append(byFile[o.file][e.value].verdicts, &o.verdicts[k])
		}
	}
	var updates []Update
	for _, f := range files {
		u, err := f.update(slices.Collect(maps.Values(byFile[f])))
		if err != nil {
			return nil, err
		}
		if u.Count > 0 {
			updates = append(updates, *u)
		}
	}
	return updates, nil
}

// replacement is what may be written anew in one place.
type replacement struct {
	expectation *expectation
	verdicts    []*verdict // of all configurations
}

func (f *File) update(all []*replacement) (*Update, error) {
	u := &Update{File: f.Name, Before: f.yaml.Text}
	var edits []configfile.Edit
	for _, r := range all {
		if !agree(r.verdicts) {
			continue
		}
		some, err := f.edit(r.expectation, r.verdicts[0])
		if err != nil {
			return nil, err
		}
		if len(some) > 0 {
			u.Count++
			edits = append(edits, some...)
		}
	}
	var err error
	u.After, err = f.yaml.Edited(edits...)
	return u, err
}

// agree says whether all configurations would have the same expectation, another one than there is.
func agree(verdicts []*verdict) bool {
	first := verdicts[0]
	if first.message == "" {
		return false
	}
	return !slices.ContainsFunc(verdicts[1:], func(v *verdict) bool {
		return v.message == "" || v.actual != first.actual || !slices.Equal(v.items, first.items) || !v.fill.equal(first.fill)
	})
}

// edit writes one expectation anew.
func (f *File) edit(e *expectation, v *verdict) ([]configfile.Edit, error) {
	switch {
	case v.fill != nil:
		return f.fill(e, v.fill)
	case v.items != nil:
		return f.replaceList(e.value, v.items)
	case v.actual != "":
		edit, err := f.yaml.ReplaceScalar(e.value, v.actual)
		return []configfile.Edit{edit}, err
	}
	return nil, nil
}

// replaceList writes a list of texts anew. Items that stay are left where they are.
func (f *File) replaceList(n *yaml.Node, items []string) ([]configfile.Edit, error) {
	if n.Style&yaml.FlowStyle != 0 {
		start, end, ok := f.flowRange(n)
		if !ok {
			return nil, nil
		}
		texts := make([]string, len(items))
		for i, item := range items {
			texts[i] = plainOrQuoted(item)
		}
		return []configfile.Edit{{Start: start, End: end, New: "[" + strings.Join(texts, ", ") + "]"}}, nil
	}
	if len(items) == 0 || len(n.Content) == 0 {
		return nil, nil // a list without a dash would be nothing
	}
	var edits []configfile.Edit
	have := map[string]bool{}
	for i, node := range n.Content {
		have[node.Value] = true
		if slices.Contains(items, node.Value) {
			continue
		}
		edit, err := f.yaml.DeleteItem(n, i)
		if err != nil {
			return nil, err
		}
		edits = append(edits, edit)
	}
	at, ok := f.yaml.Offset(configfile.Position{Line: n.Content[0].Line, Column: 1})
	if !ok {
		return nil, nil
	}
	line := f.yaml.Line(n.Content[0].Line)
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	for _, item := range items {
		if !have[item] {
			edits = append([]configfile.Edit{{Start: at, End: at, New: indent + "- " + plainOrQuoted(item) + "\n"}}, edits...)
		}
	}
	return edits, nil
}

var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

func plainOrQuoted(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}

// flowRange is where a flow collection is in the text. It finds the end of what has no comments in it.
func (f *File) flowRange(n *yaml.Node) (start, end int, ok bool) {
	start, ok = f.yaml.Offset(f.yaml.Pos(n))
	if !ok {
		return 0, 0, false
	}
	depth := 0
	var quote byte
	text := f.yaml.Text
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return start, i + 1, true
			}
		case c == '#' && text[i-1] == ' ':
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// maxFilled is with how many series an empty expectation is filled at most.
const maxFilled = 1000

// filling is what an empty expectation can be filled with.
type filling struct {
	series  [][2]string // selector and value
	targets string      // empty where only series are wanted
	// left are series of which none can be selected, since only what looks like a secret tells them apart: a selector of all, and how many.
	left [][2]string
}

func (a *filling) equal(b *filling) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.targets == b.targets && slices.Equal(a.series, b.series) && slices.Equal(a.left, b.left)
}

// nothingYet is the check of an expectation that waits to be filled in: with every series but those that Prometheus adds to a scrape (up is
// there), and with the number of targets.
func nothingYet(whole bool) func(*view) verdict {
	return func(v *view) verdict {
		fill, known := &filling{}, map[string]bool{}
		live := v.result.Live(v.at)
		var open [][2]string
		for _, s := range live {
			if strings.HasPrefix(s.Labels.Get(model.MetricNameLabel), "scrape_") {
				continue
			}
			one := [2]string{selectorText(s.Labels), sampleText(&s.Samples[len(s.Samples)-1])}
			switch {
			case known[one[0]]: // only what looks like a secret tells them apart
			case strings.HasSuffix(one[0], ellipsisEnd):
				open = append(open, one)
			default:
				fill.series = append(fill.series, one)
			}
			known[one[0]] = true
		}
		if n := len(fill.series) + len(open); n > maxFilled {
			return verdict{message: fmt.Sprintf("nothing is expected yet, and %d series are delivered, too many to be filled in by --update: expect some of them", n)}
		}
		for _, one := range open {
			fill.add(one, live)
		}
		if len(fill.series) == 0 && len(fill.left) > 0 {
			return verdict{message: "nothing is expected yet, and only what looks like a secret tells the series apart, which --update does not write: expect their number under count"}
		}
		slices.SortFunc(fill.series, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
		if whole {
			fill.targets = v.targetSummary()
		}
		return verdict{message: "nothing is expected yet: --update fills in what is delivered", fill: fill}
	}
}

// add adds a series with an open selector, unless the selector selects another one as well.
func (a *filling) add(one [2]string, live []scrapetest.Series) {
	s, err := parseSelector(one[0])
	if err != nil {
		return // a name that no selector has
	}
	n := 0
	for i := range live {
		if s.matches(live[i].Labels) {
			n++
		}
	}
	if n == 1 {
		a.series = append(a.series, one)
		return
	}
	a.left = append(a.left, [2]string{strings.TrimSuffix(strings.TrimSuffix(one[0], ellipsisEnd), ", ") + "}", strconv.Itoa(n)})
}

// comments say what is left out, each with an indentation.
func (a *filling) comments(indent string) string {
	var b strings.Builder
	for _, one := range a.left {
		b.WriteString("\n" + indent + "# Only what looks like a secret tells these apart. Expect their number under count: " + singleQuoted(one[0]) + ": " + one[1])
	}
	return b.String()
}

func (v *view) targetSummary() string {
	text := fmt.Sprintf("{kept: %d, dropped: %d", len(v.targetsOf("", fates["kept"])), len(v.targetsOf("", fates["dropped"])))
	for _, fate := range []string{"duplicate", "invalid"} {
		if n := len(v.targetsOf("", fates[fate])); n > 0 {
			text += fmt.Sprintf(", %s: %d", fate, n)
		}
	}
	return text + "}"
}

// ellipsisEnd is how an open selector ends.
const ellipsisEnd = "...}"

// selectorText writes labels as a selector for them. A label that looks like a secret does not get into a file: the selector is open
// for it.
func selectorText(ls labels.Labels) string {
	var parts []string
	name, open := "", false
	ls.Range(func(l labels.Label) {
		if isPlainName(l) {
			name = l.Value
			return
		}
		if secrets.Find(l.Value) != "" {
			open = true
			return
		}
		parts = append(parts, labelName(l.Name)+"="+strconv.Quote(l.Value))
	})
	if open {
		return name + "{" + strings.Join(append(parts, ellipsisEnd), ", ")
	}
	return name + "{" + strings.Join(parts, ", ") + "}"
}

// fill writes what is delivered in the place of an empty expectation.
func (f *File) fill(e *expectation, fill *filling) ([]configfile.Edit, error) {
	start, end, found := f.flowRange(e.value)
	if e.value.Kind != yaml.MappingNode { // nothing at all stands there
		start, found = f.yaml.Offset(f.yaml.Pos(e.value))
		end = start
	}
	if !found {
		return nil, nil
	}
	line := f.yaml.Line(e.at.Line)
	text := " " + fill.flow(line[:len(line)-len(strings.TrimLeft(line, " "))])
	if !e.inFlow {
		text = fill.block(strings.Repeat(" ", e.at.Column+1))
	}
	if start > 0 && f.yaml.Text[start-1] == ' ' {
		start-- // the space behind the colon
	}
	return []configfile.Edit{{Start: start, End: end, New: text}}, nil
}

// block writes a filling below a key, with an indentation.
func (a *filling) block(indent string) string {
	var b strings.Builder
	if a.targets != "" {
		b.WriteString("\n" + indent + "targets: " + a.targets)
		if len(a.series) > 0 {
			b.WriteString("\n" + indent + "series:")
			indent += "  "
		}
	}
	for _, s := range a.series {
		b.WriteString("\n" + indent + singleQuoted(s[0]) + ": " + valueText(s[1]))
	}
	if b.Len() == 0 {
		return " {}"
	}
	return b.String() + a.comments(indent)
}

// maxInline is how long a filling in one line may be, in bytes.
const maxInline = 100

// flow writes a filling within a flow mapping, of which the line has an indentation. What is long, or needs comments, gets a line for each
// series.
func (a *filling) flow(indent string) string {
	parts := make([]string, len(a.series))
	length := 0
	for i, s := range a.series {
		parts[i] = singleQuoted(s[0]) + ": " + valueText(s[1])
		length += len(parts[i])
	}
	series := "{" + strings.Join(parts, ", ") + "}"
	if length > maxInline || len(a.left) > 0 {
		deeper := "\n" + indent + "    "
		series = "{" + a.comments(indent+"    ") + deeper + strings.Join(parts, ","+deeper) + "\n" + indent + "  }"
	}
	if a.targets == "" {
		return series
	}
	return "{targets: " + a.targets + ", series: " + series + "}"
}

func singleQuoted(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return strconv.Quote(text)
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// valueText writes the value of a series as YAML.
func valueText(value string) string {
	if strings.HasPrefix(value, "{") {
		return singleQuoted(value)
	}
	return value
}
