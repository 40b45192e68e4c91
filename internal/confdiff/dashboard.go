// SPDX-License-Identifier: Apache-2.0

package confdiff

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// maxDepth bounds how deep a dashboard is nested.
const maxDepth = 200

// node is a JSON value that knows its line. Of a value that is neither an object nor a list, only texts are of interest.
type node struct {
	line   int
	text   string
	isText bool
	fields map[string]*node
	items  []*node
}

// Dashboard reads the queries of a dashboard of Grafana: of panels, whatever the version of its schema, and of variables. Those of
// other data sources than Prometheus are left out. Name is what the file is called in messages.
func Dashboard(name string, text []byte) ([]Query, error) {
	d := jsonReader{decoder: json.NewDecoder(bytes.NewReader(text)), text: text, line: 1}
	root, err := d.value(0)
	if err == nil {
		_, err = d.decoder.Token()
		if errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read as a dashboard, which is JSON: %w", name, err)
	}
	// What the API returns has the dashboard below `dashboard`, what an operator's resource has below `spec`.
	for _, key := range []string{"dashboard", "spec"} {
		if inner := root.get(key); inner != nil && inner.fields != nil && root.get("panels") == nil {
			root = inner
		}
	}
	if root.fields == nil {
		return nil, fmt.Errorf("%s: no dashboard: it is an object with panels", name)
	}
	r := dashboardReader{file: name, title: root.string("title"), variables: variables{}}
	list := root.get("templating").get("list")
	for _, v := range list.list() {
		r.variables[v.string("name")] = v.value()
	}
	for _, v := range list.list() {
		r.variable(v)
	}
	r.walk(root, "", "", true)
	return r.queries, nil
}

// jsonReader makes nodes of a text.
type jsonReader struct {
	decoder *json.Decoder
	text    []byte
	at      int64 // up to where lines are counted
	line    int
}

// value reads the next value.
func (d *jsonReader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	token, err := d.decoder.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	offset := d.decoder.InputOffset()
	d.line += bytes.Count(d.text[d.at:offset], []byte{'\n'})
	d.at = offset
	n := &node{line: d.line}
	switch token {
	case json.Delim('{'):
		n.fields = map[string]*node{}
		for d.decoder.More() {
			key, err := d.decoder.Token()
			if err != nil {
				return nil, err
			}
			if n.fields[fmt.Sprint(key)], err = d.value(depth + 1); err != nil {
				return nil, err
			}
		}
		_, err = d.decoder.Token()
	case json.Delim('['):
		for d.decoder.More() {
			item, err := d.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err = d.decoder.Token()
	default:
		n.text, n.isText = token.(string)
	}
	return n, err
}

func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	return n.fields[key]
}

func (n *node) string(key string) string {
	if v := n.get(key); v != nil {
		return v.text
	}
	return ""
}

func (n *node) list() []*node {
	if n == nil {
		return nil
	}
	return n.items
}

// value is what a variable stands for, where that is a duration or a number, else nothing.
func (n *node) value() string {
	if n.string("type") == "interval" {
		return "5m"
	}
	value := n.get("current").string("value")
	if n.string("type") == "constant" || value == "" {
		value = n.string("query")
	}
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return value
	}
	if _, err := model.ParseDuration(value); err == nil && value != "" {
		return value
	}
	return ""
}

type dashboardReader struct {
	file, title string
	variables   variables
	queries     []Query
}

// walk looks for expressions. title is that of the nearest object around with one, source the nearest data source's type.
func (r *dashboardReader) walk(n *node, title, source string, root bool) {
	if t := n.string("title"); t != "" && !root {
		title = t
	}
	if s := n.get("datasource").string("type"); s != "" {
		source = s
	}
	if expr := n.get("expr"); expr != nil && expr.text != "" && (source == "" || strings.Contains(strings.ToLower(source), "prometheus")) {
		q := Query{Kind: Panel, File: r.file, Line: expr.line, Name: r.name(title), Expr: expr.text}
		q.read(r.variables.replace(expr.text), templateLabels(n.string("legendFormat")))
		r.queries = append(r.queries, q)
	}
	for _, key := range sortedByLine(n) {
		r.walk(n.fields[key], title, source, false)
	}
	for _, item := range n.items {
		r.walk(item, title, source, false)
	}
}

func (r *dashboardReader) name(part string) string {
	switch {
	case r.title == "":
		return part
	case part == "":
		return r.title
	}
	return r.title + " / " + part
}

// What Grafana's Prometheus data source understands as the query of a variable.
var (
	labelValuesQuery = regexp.MustCompile(`^label_values\((?:(.+),\s*)?([a-zA-Z_$][a-zA-Z0-9_]*)\s*\)\s*$`)
	metricsQuery     = regexp.MustCompile(`^metrics\((.+)\)\s*$`)
	resultQuery      = regexp.MustCompile(`^query_result\((.+)\)\s*$`)
)

// variable reads the query of a variable.
func (r *dashboardReader) variable(n *node) {
	query := n.get("query")
	if t := n.string("type"); query == nil || t != "query" {
		return
	}
	if query.fields != nil {
		query = query.get("query")
	}
	source := n.get("datasource").string("type")
	if query == nil || query.text == "" || source != "" && !strings.Contains(strings.ToLower(source), "prometheus") {
		return
	}
	q := Query{Kind: Variable, File: r.file, Line: query.line, Name: r.name("$" + n.string("name")), Expr: query.text}
	text := strings.TrimSpace(query.text)
	if m := labelValuesQuery.FindStringSubmatch(text); m != nil {
		expr := m[1]
		if strings.TrimSpace(expr) == "" {
			expr = fmt.Sprintf("{%s!=\"\"}", m[2])
		}
		q.read(r.variables.replace(expr), []string{m[2]})
	} else if m := metricsQuery.FindStringSubmatch(text); m != nil {
		q.read(fmt.Sprintf("{__name__=~%q}", ".*(?:"+r.variables.replace(m[1])+").*"), nil)
	} else if m := resultQuery.FindStringSubmatch(text); m != nil {
		q.read(r.variables.replace(m[1]), nil)
	} else {
		return // label_names() and what is no query
	}
	r.queries = append(r.queries, q)
}

// sortedByLine are the keys of an object in the order of the file.
func sortedByLine(n *node) []string {
	return slices.SortedFunc(maps.Keys(n.fields), func(a, b string) int {
		return cmp.Or(cmp.Compare(n.fields[a].line, n.fields[b].line), cmp.Compare(a, b))
	})
}
