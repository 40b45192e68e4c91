// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	names := func(text string) []string {
		objects, err := Parse("f.yaml", []byte(text))
		require.NoError(t, err)
		var names []string
		for _, o := range objects {
			names = append(names, fmt.Sprintf("%s %s:%d", o.Kind, o.Name, o.Line))
		}
		return names
	}
	pod := func(name string) string { return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + "}}\n" }

	assert.Empty(t, names(""))
	assert.Empty(t, names("---\n# Source: a chart's template that gives nothing\n---\n"))
	assert.Equal(t, []string{"Pod a:1", "Pod b:3"}, names(pod("a")+"---\n"+pod("b")))
	assert.Equal(t, []string{"Pod a:4", "ConfigMap c:5"},
		names("apiVersion: v1\nkind: List\nitems:\n- "+pod("a")+"- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n"), "kubectl get -o yaml")
	assert.Equal(t, []string{"Pod a:4"}, names("apiVersion: v1\nkind: PodList\nitems:\n- {metadata: {name: a}}\n"), "an answer of the API")
	assert.Equal(t, []string{"Pod a:1"}, names(`{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]}`), "kubectl get -o json")
	assert.Empty(t, names("{apiVersion: v1, kind: PodList, items: null}"))
	assert.Equal(t, []string{"Pod a:1", "Pod b:3"}, names("\ufeff"+pod("a")+"---\r\n"+pod("b")), "a byte order mark, and lines that end as on Windows")
}

func TestParseValues(t *testing.T) {
	objects, err := Parse("f.yaml", []byte(`
apiVersion: v1
kind: Pod
metadata:
  name: a
  labels: &labels {app: x, version: "1"}
  annotations:
    <<: [*labels, {app: not this one, more: from the merge}]
    date: 2026-01-01
    octal: "0644"
spec:
  terminationGracePeriodSeconds: 0o10
  containers:
  - {name: c, image: i, ports: [{containerPort: 8_080}], securityContext: {privileged: yes}}
`))
	require.NoError(t, err)
	require.Len(t, objects, 1)
	pod := clusterOf(t, objects).Pods()[0]
	assert.Equal(t, map[string]string{"app": "x", "version": "1", "more": "from the merge", "date": "2026-01-01", "octal": "0644"}, pod.Annotations)
	assert.EqualValues(t, 8, *pod.Spec.TerminationGracePeriodSeconds)
	assert.EqualValues(t, 8080, pod.Spec.Containers[0].Ports[0].ContainerPort)
	assert.True(t, *pod.Spec.Containers[0].SecurityContext.Privileged)
}

func TestParseErrors(t *testing.T) {
	fails := func(message, text string) {
		t.Helper()
		_, err := Parse("f.yaml", []byte(text))
		assert.EqualError(t, err, message)
	}
	fails("f.yaml:1:1: this is not a Kubernetes object: a manifest is a mapping with apiVersion, kind and metadata", "hello")
	fails("f.yaml:1:1: this is not a Kubernetes object: it has no apiVersion and kind: is it a chart's values file? Take the output of `helm template`", "replicaCount: 1\nimage: x\n")
	fails("f.yaml:2:1: this Pod has no metadata.name: give it one (a generateName is of no use here, since names have to stay)", "\napiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n")
	fails(`f.yaml:1:1: "../../x" cannot be the name of a Pod: use small letters, digits, '-' and '.'`, "{apiVersion: v1, kind: Pod, metadata: {name: ../../x}}")
	fails(`f.yaml:1:1: "a/b" cannot be the name of a Role: leave out '/' and '%'`, "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a/b}}")
	fails(`f.yaml:1:1: "A B" cannot be a namespace: use small letters, digits and '-'`, "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: A B}}")
	fails("f.yaml:5:47: cannot unmarshal bool into Go struct field ObjectMeta.metadata.annotations of type string: a cluster would refuse this; is a value missing its quotes, or indented wrongly?",
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations: {\"a\": b, prometheus.io/scrape: true}\n")
	fails("f.yaml:1:61: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string: a cluster would refuse this; is a value missing its quotes, or indented wrongly?",
		"{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {a: yes}}}")
	fails("f.yaml:4:11: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string: a cluster would refuse this; is a value missing its quotes, or indented wrongly?",
		"kind: Pod\napiVersion: v1\nmetadata: {name: a,\n  labels: [a]}\n")
	fails("f.yaml:1:1: this is not a Kubernetes object: it has no apiVersion and kind: a chart's template has to be rendered first, with `helm template`",
		"kind: Pod\napiVersion: {{ .Values.x }}\n")
	fails("f.yaml:2:1: could not find expected ':': a chart's template has to be rendered first, with `helm template`", "kind: Pod\n{{- if .Values.x }}\n")
	fails("f.yaml:1:1: control characters are not allowed: is this YAML, with Kubernetes manifests?", "\x00\x01\x02")
	fails("f.yaml:4:3: items of a PodList is not a list", "kind: PodList\napiVersion: v1\nitems:\n  a: b\n")
	fails("f.yaml:1:38: a PodList in a List: lists of lists are not read, write the objects one after another",
		"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: PodList, items: []}]}")
	fails("f.yaml:3:39: a key has to be a plain word here", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: x}, [a]: b}\n")
	fails("f.yaml:3:29: .inf is no number that Kubernetes takes", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: .inf}\n")
}

func TestParseBombs(t *testing.T) {
	fails := func(message, text string) {
		t.Helper()
		start := time.Now()
		_, err := Parse("f.yaml", []byte(text))
		assert.ErrorContains(t, err, message)
		assert.Less(t, time.Since(start), 30*time.Second, "below 2 s on a quiet machine")
	}
	const head = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
	bomb := func(leaf, list, item string) string {
		var b strings.Builder
		b.WriteString(head + "spec:\n  a0: &a0 " + leaf + "\n")
		for i := 1; i < 30; i++ {
			fmt.Fprintf(&b, "  a%d: &a%d "+list+"\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf(item, i-1), 10), ", "))
		}
		return b.String()
	}
	fails("values once its aliases are put in place", bomb("[]", "[%s]", "*a%d, "))
	fails("values once its aliases are put in place", bomb(`"`+strings.Repeat("x", 1000)+`"`, "[%s]", "*a%d, "))
	fails("values once its aliases are put in place", bomb("{}", "{<<: [%s]}", "*a%d, "))
	fails("the alias *x is inside of its own anchor: remove one of them", head+"spec: &x {a: [*x]}\n")
	fails("the alias *x is inside of its own anchor: remove one of them", head+"spec: &x {<<: *x}\n")
	fails("the alias *x is inside of its own anchor: remove one of them", head+"spec: &x {<<: [{a: b}, *x]}\n")
	fails("this list is in itself, by the anchor x: remove the alias", "&x {apiVersion: v1, kind: List, items: [*x]}\n")
	fails("nested more than 100 levels deep", head+"spec: "+strings.Repeat("[", 2000)+strings.Repeat("]", 2000))
	fails("exceeded max depth", head+"spec: "+strings.Repeat("[", 1_000_000))
	fails("33 MiB are too much", strings.Repeat("#", 33<<20))
	fails("values", head+"spec: ["+strings.Repeat("a,", 2<<20)+"]")
	fails("is this YAML", string(make([]byte, 1<<20)))
}

// TestHook: what a chart runs around its installation is gone a while later, unless it is seen to be there.
func TestHook(t *testing.T) {
	objects, err := Parse("f.yaml", []byte(`
{apiVersion: v1, kind: Pod, metadata: {name: test, annotations: {helm.sh/hook: test}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: there, uid: "1", annotations: {helm.sh/hook: test}}}
---
{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: old}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s}}
`))
	require.NoError(t, err)
	cluster := clusterOf(t, objects)
	require.Len(t, cluster.Pods(), 1)
	assert.Equal(t, "there", cluster.Pods()[0].Name)
	assert.Equal(t, map[string]int{"v1 Pod": 1, "extensions/v1beta1 Ingress": 1, "v1 Secret": 1}, cluster.Ignored())
}

// TestManyPods: 10,000 pods behind a hundred services are parsed, filled in and listed in less than two seconds.
func TestManyPods(t *testing.T) {
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Pod
metadata:
  name: pod-%d
  labels: {app: app-%d, app.kubernetes.io/name: tool-manager}
  annotations: {prometheus.io/scrape: "true", prometheus.io/port: "8080"}
spec:
  containers:
  - name: main
    image: example.com/image:v1
    ports:
    - {name: http, containerPort: 8080}
`, i, i%100)
	}
	for i := range 100 {
		fmt.Fprintf(&b, "---\n{apiVersion: v1, kind: Service, metadata: {name: app-%d}, spec: {selector: {app: app-%d}, ports: [{port: 80, targetPort: http}]}}\n", i, i)
	}
	start := time.Now()
	objects, err := Parse("f.yaml", []byte(b.String()))
	require.NoError(t, err)
	parsed := time.Since(start)
	cluster := clusterOf(t, objects)
	t.Logf("%d MiB, parsed in %s, filled in in %s", b.Len()>>20, parsed, time.Since(start)-parsed)
	_, url := serve(t, cluster)
	groups := discover(t, url, "role: pod", 10_000)
	addresses := map[string]bool{}
	for _, g := range groups {
		addresses[string(g.Targets[0]["__address__"])] = true
	}
	assert.Len(t, addresses, 10_000)
	t.Logf("discovered after %s", time.Since(start))
	assert.Less(t, time.Since(start), 30*time.Second, "below 2 s on a quiet machine")
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of the test
		require.NoError(f, err)
		f.Add(text)
		for _, document := range strings.Split(string(text), "\n---\n") {
			f.Add([]byte(document))
		}
	}
	f.Add([]byte("&x {apiVersion: v1, kind: List, items: [*x]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, err := Parse("f.yaml", text)
		if err != nil {
			assert.Regexp(t, `^f\.yaml:\d+:\d+: .`, err.Error())
			return
		}
		cluster, err := NewCluster(objects, Options{Namespace: "runner", ServiceAccount: "collector"})
		if err != nil {
			return
		}
		addresses := map[string]string{}
		for _, pod := range cluster.Pods() {
			if pod.Status.Phase == "Running" {
				assert.NotEmpty(t, pod.Status.PodIP)
				assert.NotEmpty(t, pod.Spec.NodeName)
			}
			if name, taken := addresses[pod.Status.PodIP]; taken && strings.HasPrefix(pod.Status.PodIP, "10.244.") {
				t.Logf("%s and %s have %s", name, pod.Name, pod.Status.PodIP) // which the manifest may say
			}
			addresses[pod.Status.PodIP] = pod.Name
		}
		again, err := NewCluster(objects, Options{Namespace: "runner", ServiceAccount: "collector"})
		require.NoError(t, err)
		require.Equal(t, cluster.Pods(), again.Pods(), "the same twice")
		if pods := cluster.Pods(); len(pods) > 0 {
			less, err := cluster.Without("pod/" + pods[0].Namespace + "/" + pods[0].Name)
			require.NoError(t, err)
			require.Len(t, less.Pods(), len(pods)-1)
		}
	})
}
