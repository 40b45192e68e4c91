// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template/parse"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const ruleCoverage = "template-coverage"

// branch is a place where a template may go.
type branch struct {
	file string // otel/templates/statefulset.yaml
	line int
	what string
}

// coverage knows the branches of all templates, and which were taken.
//
// Helm gives a template no function with an effect but one: lookup asks a cluster, and who answers is the caller's choice. So each branch
// begins with a lookup of its own number, in a copy of the templates that is otherwise the same and goes through Helm's own engine.
type coverage struct {
	mu       sync.Mutex // guards what is below
	branches []branch
	known    map[branch]int
	taken    map[int]bool
}

const markerVersion = "coverage/v1"

// GetClientFor implements engine.ClientProvider: a marker is noted, and any object is nowhere to be found.
func (c *coverage) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	if apiVersion == markerVersion {
		number, err := strconv.Atoi(kind)
		if err != nil {
			return nil, false, err
		}
		c.mu.Lock()
		c.taken[number] = true
		c.mu.Unlock()
	}
	return emptyCluster{}, false, nil
}

// emptyCluster has nothing in it, as `helm template` has none.
type emptyCluster struct {
	dynamic.NamespaceableResourceInterface
}

func (emptyCluster) Namespace(string) dynamic.ResourceInterface { return emptyCluster{} }

func (emptyCluster) Get(context.Context, string, metav1.GetOptions, ...string) (*unstructured.Unstructured, error) {
	return nil, apierrors.NewNotFound(schema.GroupResource{}, "")
}

func (emptyCluster) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return nil, apierrors.NewNotFound(schema.GroupResource{}, "")
}

// mark puts a marker into each branch of a chart's templates, and of those of the charts in it.
func (c *coverage) mark(s *source) (*source, error) {
	marked := *s
	marked.raw = nil
	for _, file := range s.raw {
		if isTemplate(file.Name) {
			text, err := c.markTemplate(templateName(s.name, file.Name), string(file.Data))
			if err != nil {
				return nil, err
			}
			file = &loader.BufferedFile{Name: file.Name, Data: []byte(text)}
		}
		marked.raw = append(marked.raw, file)
	}
	return &marked, nil
}

func isTemplate(name string) bool {
	return (strings.HasPrefix(name, "templates/") || strings.Contains(name, "/templates/")) &&
		slices.Contains([]string{".yaml", ".yml", ".tpl", ".txt"}, filepath.Ext(name))
}

// templateName is the same for a template by itself and within other charts: charts/otel/charts/common/templates/_pod.tpl is common's.
func templateName(chart, name string) string {
	if i := strings.LastIndex(name, "charts/"); i >= 0 {
		return name[i+len("charts/"):]
	}
	return chart + "/" + name
}

func (c *coverage) markTemplate(file, text string) (string, error) {
	root := parse.New(file)
	root.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := root.Parse(text, "", "", trees); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		tree := trees[name]
		c.markBranches(file, text, tree.Root)
		if name == file {
			continue
		}
		c.prepend(tree.Root, branch{file, lineOf(text, tree.Root), fmt.Sprintf("define %q", name)})
		fmt.Fprintf(&out, "{{- define %q -}}%s{{- end -}}", name, tree.Root)
	}
	if tree := trees[file]; tree != nil {
		out.WriteString(tree.Root.String())
	}
	return out.String(), nil
}

// markBranches marks what lies below a node.
func (c *coverage) markBranches(file, text string, node parse.Node) {
	list, ok := node.(*parse.ListNode)
	if !ok || list == nil {
		return
	}
	for _, child := range list.Nodes {
		var b *parse.BranchNode
		var keyword string
		switch n := child.(type) {
		case *parse.IfNode:
			b, keyword = &n.BranchNode, "if"
		case *parse.RangeNode:
			b, keyword = &n.BranchNode, "range"
		case *parse.WithNode:
			b, keyword = &n.BranchNode, "with"
		default:
			continue
		}
		c.markBranches(file, text, b.List)
		c.markBranches(file, text, b.ElseList)
		what := keyword + " " + b.Pipe.String()
		c.prepend(b.List, branch{file, lineOf(text, b), what})
		if b.ElseList != nil {
			c.prepend(b.ElseList, branch{file, lineOf(text, b), "else of " + what})
		}
	}
}

// lineOf is where a node starts.
func lineOf(text string, node parse.Node) int {
	return 1 + strings.Count(text[:min(int(node.Position()), len(text))], "\n")
}

// prepend puts the marker of a branch at the head of its list.
func (c *coverage) prepend(list *parse.ListNode, b branch) {
	marker := parse.New("marker")
	marker.Mode = parse.SkipFuncCheck
	tree, err := marker.Parse(fmt.Sprintf(`{{ $_ := lookup %q "%d" "" "" }}`, markerVersion, c.number(b)), "", "", map[string]*parse.Tree{})
	if err != nil {
		panic(err) // our own text
	}
	list.Nodes = slices.Concat(tree.Root.Nodes, list.Nodes)
}

// number is the same for a branch wherever its template is used.
func (c *coverage) number(b branch) int {
	if n, ok := c.known[b]; ok {
		return n
	}
	c.known[b] = len(c.branches)
	c.branches = append(c.branches, b)
	return c.known[b]
}

// renderMarked renders a marked chart; what comes out is not looked at.
func (c *coverage) renderMarked(s *source, values map[string]any, in situation) (map[string]string, error) {
	values = copyOf(values)
	chrt, err := s.fresh()
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependenciesWithMerge(chrt, values); err != nil {
		return nil, err
	}
	version, err := chartutil.ParseKubeVersion(in.kubernetes)
	if err != nil {
		return nil, err
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	if in.monitors {
		capabilities.APIVersions = append(capabilities.APIVersions, monitorVersions...)
	}
	options := chartutil.ReleaseOptions{Name: releaseName, Namespace: releaseNamespace, Revision: 1, IsInstall: !in.upgrade, IsUpgrade: in.upgrade}
	toRender, err := chartutil.ToRenderValues(chrt, values, options, capabilities)
	if err != nil {
		return nil, err
	}
	return engine.RenderWithClientProvider(chrt, toRender, c)
}

// judgeCoverage renders every values file in every situation with marked templates, and what has to be refused.
func judgeCoverage(charts []*source, refusedDir string, figures *Figures, report *report) {
	c := &coverage{known: map[branch]int{}, taken: map[int]bool{}}
	for _, s := range charts {
		marked, err := c.mark(s)
		if err != nil {
			report.add(Violation{Rule: ruleCoverage, Source: s.name, Object: "templates", Message: err.Error()})
			continue
		}
		if s.library {
			continue // its templates are within the other charts
		}
		refusals, err := loadRefusals(refusedDir, s.name)
		if err != nil {
			report.add(Violation{Rule: ruleRefused, Source: s.name, Object: "the files", Message: err.Error()})
		}
		figures.Refusals += len(refusals)
		inParallel(refusals, func(r refusal) {
			values, err := readValues(r.file)
			if err == nil {
				_, err = c.renderMarked(marked, values, situations[1])
			}
			if problem := r.check(err); problem != "" {
				report.add(Violation{Rule: ruleRefused, Source: r.label(), Object: s.name, Message: problem})
			}
		})
		inParallel(s.valuesFiles, func(file string) {
			if err := c.renderFile(s, marked, file); err != nil {
				report.add(Violation{Rule: ruleCoverage, Source: s.label(file), Object: s.name, Message: err.Error()})
			}
		})
	}
	figures.Branches, figures.BranchesTaken = len(c.branches), len(c.taken)
	if len(c.branches) > 0 {
		figures.CoveragePercent = float64(1000*len(c.taken)/len(c.branches)) / 10
	}
	for number, b := range c.branches {
		if !c.taken[number] {
			report.add(Violation{Rule: ruleCoverage, Source: fmt.Sprintf("%s:%d", b.file, b.line), Object: b.what, Message: "not rendered by any values file", Remedy: "add one to ci or to test/charts/refused, or remove the branch"})
		}
	}
}

// renderFile renders a file with marks in every situation, and in one without, to see that they change nothing.
func (c *coverage) renderFile(plain, marked *source, file string) error {
	values, err := readValues(file)
	if err != nil {
		return err
	}
	for i, in := range situations {
		withMarks, err := c.renderMarked(marked, values, in)
		if err != nil || i > 0 {
			continue // that it does not render is judgeChart's to say
		}
		if without, err := c.renderMarked(plain, values, in); err != nil || !maps.Equal(withMarks, without) {
			return errors.New("the markers change what is rendered: mend tools/charts/coverage.go")
		}
	}
	return nil
}
