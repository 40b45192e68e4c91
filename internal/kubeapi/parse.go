// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
)

// maxText is how long a text can be, in bytes. It is a guard for memory, of which YAML takes 30 times its length: here 1 GiB.
const maxText = 32 << 20

// hookAnnotation marks what a Helm chart runs around its installation.
const hookAnnotation = "helm.sh/hook"

// Object is one object of a manifest.
type Object struct {
	// APIVersion and Kind are what the manifest says: apps/v1, Deployment.
	APIVersion, Kind string
	// Namespace is "" where the manifest has none.
	Namespace, Name string
	// File and Line are where it begins.
	File string
	Line int

	kind  *kind
	value object // nil: nothing here reads this object
	size  int    // bytes of JSON
}

// Parse reads Kubernetes manifests: YAML with any number of documents, what `helm template` prints, or the lists of
// `kubectl get -o yaml` (or json). name stands for the text in errors, which are like file.yaml:12:5: what is wrong: what to do.
// Objects of kinds that are of no use here are returned as well, so that they can be counted, but their content is not looked at.
func Parse(name string, text []byte) ([]Object, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%s: %d MiB are too much, at most %d MiB are read from one file: split it, or leave out what discovery does not read, as `runnerctl record` does",
			name, len(text)>>20, maxText>>20)
	}
	p := parser{file: name, template: bytes.Contains(text, []byte("{{"))}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return p.objects, nil
		}
		if err != nil {
			return nil, p.syntaxError(err)
		}
		if err := p.document(&document); err != nil {
			return nil, err
		}
	}
}

type parser struct {
	file     string
	template bool // the text may be a template
	objects  []Object
	json     converter
}

func (p *parser) document(document *yaml.Node) error {
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil // only comments, as helm prints for a template that gives nothing
	}
	return p.item(root, "", "")
}

// item reads an object, or a list of objects; apiVersion and kind are those of the list that it is in, if any.
func (p *parser) item(node *yaml.Node, apiVersion, kind string) error {
	node = follow(node)
	if node.Kind != yaml.MappingNode {
		return p.errorf(node, "this is not a Kubernetes object: a manifest is a mapping with apiVersion, kind and metadata")
	}
	apiVersion, kind = text(node, "apiVersion", apiVersion), text(node, "kind", kind)
	if apiVersion == "" || kind == "" {
		return p.errorf(node, "this is not a Kubernetes object: it has no apiVersion and kind: %s", p.remedy("is it a chart's values file? Take the output of `helm template`"))
	}
	if items := field(node, "items"); items != nil && strings.HasSuffix(kind, "List") {
		items = follow(items)
		if items.Kind != yaml.SequenceNode {
			if items.ShortTag() == "!!null" {
				return nil
			}
			return p.errorf(items, "items of a %s is not a list", kind)
		}
		// Items of a PodList have no kind of their own, those of a List do.
		for _, item := range items.Content {
			if follow(item) == node {
				return p.errorf(item, "this list is in itself, by the anchor %s: remove the alias", item.Value)
			}
			if inner := text(follow(item), "kind", ""); strings.HasSuffix(inner, "List") && field(follow(item), "items") != nil {
				return p.errorf(item, "a %s in a %s: lists of lists are not read, write the objects one after another", inner, kind)
			}
			if err := p.item(item, apiVersion, strings.TrimSuffix(kind, "List")); err != nil {
				return err
			}
		}
		return nil
	}
	return p.object(node, apiVersion, kind)
}

func (p *parser) object(node *yaml.Node, apiVersion, kind string) error {
	o := Object{APIVersion: apiVersion, Kind: kind, File: p.file, Line: node.Line, kind: kindOf(apiVersion, kind)}
	if metadata := field(node, "metadata"); metadata != nil {
		metadata = follow(metadata)
		o.Namespace, o.Name = text(metadata, "namespace", ""), text(metadata, "name", "")
		if annotations := field(metadata, "annotations"); annotations != nil && field(follow(annotations), hookAnnotation) != nil && text(metadata, "uid", "") == "" {
			o.kind = nil
		}
	}
	if o.kind == nil {
		p.objects = append(p.objects, o)
		return nil
	}
	if o.Name == "" {
		return p.errorf(node, "this %s has no metadata.name: give it one (a generateName is of no use here, since names have to stay)", kind)
	}
	if err := checkName(o); err != nil {
		return p.errorf(node, "%w", err)
	}
	if o.kind.cluster {
		o.Namespace = ""
	}
	if err := p.json.convert(node); err != nil {
		return p.wrap(err)
	}
	value := o.kind.make()
	if err := kjson.UnmarshalCaseSensitivePreserveInts(p.json.out, value); err != nil {
		return p.typeError(node, err)
	}
	value.GetObjectKind().SetGroupVersionKind(o.kind.WithKind(o.kind.name))
	value.SetNamespace(o.Namespace)
	value.SetManagedFields(nil)
	o.value, o.size = value, len(p.json.out)
	p.objects = append(p.objects, o)
	return nil
}

func (p *parser) errorf(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %w", p.file, node.Line, node.Column, fmt.Errorf(format, args...))
}

func (p *parser) wrap(err error) error {
	var at *nodeError
	if errors.As(err, &at) {
		return p.errorf(at.node, "%w", at.err)
	}
	return err
}

// typeError is for a field that has another type than Kubernetes wants, where the node that it came from says the line.
func (p *parser) typeError(object *yaml.Node, err error) error {
	node := object
	message := strings.TrimPrefix(err.Error(), "json: ")
	if at, found := typeOffset(err); found {
		node = p.json.nodeAt(object, at)
	}
	return p.errorf(node, "%s: a cluster would refuse this; is a value missing its quotes, or indented wrongly?", message)
}

// yamlLine is how yaml.v3 says where: "yaml: line 3: did not find expected key".
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (p *parser) syntaxError(err error) error {
	line := 1
	message := err.Error()
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		if n, atoiErr := strconv.Atoi(m[1]); atoiErr == nil {
			line = n
		}
	}
	return fmt.Errorf("%s:%d:1: %s: %s", p.file, line, message, p.remedy("is this YAML, with Kubernetes manifests?"))
}

func (p *parser) remedy(otherwise string) string {
	if p.template {
		return "a chart's template has to be rendered first, with `helm template`"
	}
	return otherwise
}
