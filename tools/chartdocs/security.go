// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/kubiyabot/otelcol-runner/tools/chartdocs/internal/charts"
)

// Addresses that stand for what a NetworkPolicy can only name by address.
const (
	apiServerAddress = "192.0.2.1/32"
	backendAddress   = "192.0.2.2/32"
)

// reasons say why a component has a rule, by component and first resource. A rule without a reason is an error.
var reasons = map[string]string{
	"otel-collector pods":                         "discovery of what is scraped and probed",
	"otel-collector endpointslices":               "which pods are behind a service",
	"kube-state-metrics persistentvolumeclaims":   "state of volume claims",
	"kube-state-metrics deployments":              "state of deployments and statefulsets",
	"kube-state-metrics jobs":                     "state of jobs",
	"kube-state-metrics horizontalpodautoscalers": "state of autoscalers",
	"agent-manager pods":                          "whether the runner's pods are there",
	"tool-manager configmaps":                     "what the tools that it runs consist of",
	"tool-manager jobs":                           "tools that run as jobs",
	"tool-manager secrets":                        "what a tool gets as a secret is written for it and removed after it, never read",
	"image-updater deployments":                   "sets the images of the workloads on its list, by name",
	"image-updater statefulsets":                  "sets the images of the workloads on its list, by name",
}

// security writes the sections of docs/charts/security.md that the charts decide.
func security(root string) (map[string][]byte, error) {
	objects, err := charts.Render(root, "runner", everything())
	if err != nil {
		return nil, err
	}
	workloads, err := workloadsTable(objects)
	if err != nil {
		return nil, err
	}
	rules, err := rulesTable(objects)
	if err != nil {
		return nil, err
	}
	flows, err := flowsOf(objects)
	if err != nil {
		return nil, err
	}
	return withSections(root, "docs/charts/security.md", [][2]string{
		{"kinds", kindsTable(objects)},
		{"workloads", workloads},
		{"rules", rules},
		{"picture", picture(flows)},
		{"flows", flowsTable(flows)},
	})
}

// component is the component that an object belongs to.
func component(object charts.Object) string {
	return charts.Text(object, "metadata", "labels", "app.kubernetes.io/component")
}

func isTest(object charts.Object) bool {
	return strings.Contains(charts.Text(object, "metadata", "annotations", "helm.sh/hook"), "test")
}

func kindsTable(objects []charts.Object) string {
	counts := map[string]int{}
	for _, object := range objects {
		counts[fmt.Sprintf("%s | %s", object.Kind(), object["apiVersion"])]++
	}
	var rows [][]string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		rows = append(rows, []string{kind, strconv.Itoa(counts[kind])})
	}
	return table([]string{"kind", "API", "objects"}, rows)
}

func workloadsTable(objects []charts.Object) (string, error) {
	var rows [][]string
	for _, object := range objects {
		spec := podSpec(object)
		if spec == nil {
			continue
		}
		name := component(object)
		if isTest(object) {
			name += " (`helm test`)"
		}
		level, err := podSecurity(spec)
		if err != nil {
			return "", fmt.Errorf("%s %s: %w", object.Kind(), object.Name(), err)
		}
		rows = append(rows, []string{name, object.Kind(), user(spec), token(spec), secrets(spec), level})
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return table([]string{"component", "workload", "user", "API token", "reads the Secrets", "Pod Security"}, rows), nil
}

func user(spec map[string]any) string {
	users := map[string]bool{}
	for _, container := range asList(spec["containers"]) {
		user := charts.At(asMap(container), "securityContext", "runAsUser")
		if user == nil {
			user = charts.At(spec, "securityContext", "runAsUser")
		}
		users[fmt.Sprint(user)] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(users)), ", ")
}

func token(spec map[string]any) string {
	mounted := "no"
	walk(spec, func(node map[string]any) {
		if _, ok := node["serviceAccountToken"]; ok {
			mounted = "projected, 1 hour"
		}
	})
	if spec["automountServiceAccountToken"] != false {
		return "automounted"
	}
	return mounted
}

func secrets(spec map[string]any) string {
	names := map[string]bool{}
	walk(spec, func(node map[string]any) {
		if secret := asMap(node["secret"]); secret != nil {
			names["`"+charts.Text(secret, "secretName")+charts.Text(secret, "name")+"`"] = true
		}
	})
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// podSecurity is the strictest level of Pod Security that a pod passes, by the evaluator that the API server has.
func podSecurity(spec map[string]any) (string, error) {
	var pod corev1.PodSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &pod); err != nil {
		return "", err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		return "", err
	}
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline} {
		at := api.LevelVersion{Level: level, Version: api.LatestVersion()}
		if policy.AggregateCheckResults(evaluator.EvaluatePod(at, &metav1.ObjectMeta{}, &pod)).Allowed {
			return string(level), nil
		}
	}
	return "**" + string(api.LevelPrivileged) + "**", nil
}

func rulesTable(objects []charts.Object) (string, error) {
	var rows [][]string
	used := map[string]bool{}
	for _, object := range objects {
		if object.Kind() != "Role" {
			continue
		}
		for _, each := range asList(object["rules"]) {
			rule := asMap(each)
			resources := texts(rule["resources"])
			why, known := reasons[component(object)+" "+resources[0]]
			used[component(object)+" "+resources[0]] = true
			if !known {
				return "", fmt.Errorf("the Role of %s has a rule about %s: say why, in reasons of security.go", component(object), resources[0])
			}
			what := strings.Join(resources, ", ")
			if group := texts(rule["apiGroups"])[0]; group != "" {
				what += " (" + group + ")"
			}
			if names := texts(rule["resourceNames"]); len(names) > 0 {
				what += ", only " + strings.Join(names, ", ")
			}
			rows = append(rows, []string{component(object), what, strings.Join(texts(rule["verbs"]), ", "), why})
		}
	}
	for rule := range reasons {
		if !used[rule] {
			return "", fmt.Errorf("reasons of security.go has %q, which no Role has", rule)
		}
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return table([]string{"component", "resources", "verbs", "why"}, rows), nil
}

func texts(list any) []string {
	var all []string
	for _, each := range asList(list) {
		all = append(all, fmt.Sprint(each))
	}
	return all
}

// flow is one direction that NetworkPolicies allow.
type flow struct {
	from, to, ports string
	// ingress: the policy of the receiver says so, otherwise that of the sender.
	ingress bool
}

func flowsOf(objects []charts.Object) ([]flow, error) {
	var flows []flow
	for _, object := range objects {
		if object.Kind() != "NetworkPolicy" {
			continue
		}
		self := charts.Text(object, "spec", "podSelector", "matchLabels", "app.kubernetes.io/component")
		for _, direction := range []struct{ rules, peers string }{{"ingress", "from"}, {"egress", "to"}} {
			for _, each := range asList(charts.At(object, "spec", direction.rules)) {
				rule := asMap(each)
				ports := portsOf(rule)
				peers, err := peersOf(asList(rule[direction.peers]), ports)
				if err != nil {
					return nil, fmt.Errorf("NetworkPolicy %s: %w", object.Name(), err)
				}
				for _, peer := range peers {
					if direction.rules == "ingress" {
						flows = append(flows, flow{peer, self, ports, true})
						continue
					}
					flows = append(flows, flow{self, peer, ports, false})
				}
			}
		}
	}
	slices.SortFunc(flows, func(a, b flow) int {
		return strings.Compare(a.from+"\x00"+a.to+"\x00"+a.ports, b.from+"\x00"+b.to+"\x00"+b.ports)
	})
	return slices.Compact(flows), nil
}

func portsOf(rule map[string]any) string {
	var ports []string
	for _, port := range asList(rule["ports"]) {
		name := fmt.Sprint(asMap(port)["port"])
		if asMap(port)["protocol"] == "UDP" {
			name += "/UDP"
		}
		ports = append(ports, name)
	}
	if len(ports) == 0 {
		return "any"
	}
	return strings.Join(ports, ", ")
}

// peersOf names who is on the other side of a rule.
func peersOf(peers []any, ports string) ([]string, error) {
	if len(peers) == 0 {
		switch ports {
		case "4222":
			return []string{"control bus"}, nil
		case "443":
			return []string{"anywhere"}, nil
		}
		return nil, fmt.Errorf("a rule about ports %s names nobody", ports)
	}
	var names []string
	for _, each := range peers {
		peer := asMap(each)
		selector := asMap(peer["podSelector"])
		labels := asMap(selector["matchLabels"])
		switch {
		case labels["dns.operator.openshift.io/daemonset-dns"] != nil:
			names = append(names, "DNS of OpenShift")
		case labels["k8s-app"] == "kube-dns", labels["k8s-app"] == "node-local-dns",
			charts.Text(peer, "ipBlock", "cidr") == linkLocal:
			names = append(names, "DNS")
		case charts.Text(peer, "ipBlock", "cidr") == apiServerAddress:
			names = append(names, "API server")
		case charts.Text(peer, "ipBlock", "cidr") == backendAddress:
			names = append(names, "backend")
		case slices.Contains(world, charts.Text(peer, "ipBlock", "cidr")) && len(asList(charts.At(peer, "ipBlock", "except"))) > 0:
			names = append(names, "internet, no private network")
		case peer["namespaceSelector"] != nil || selector == nil:
			return nil, fmt.Errorf("a rule names %v, which this program does not know", peer)
		case len(selector) == 0:
			names = append(names, "pods of the namespace")
		case labels["app.kubernetes.io/kubiya-runner-component"] != nil:
			names = append(names, fmt.Sprint(labels["app.kubernetes.io/kubiya-runner-component"]))
		case labels["app.kubernetes.io/component"] != nil:
			names = append(names, fmt.Sprint(labels["app.kubernetes.io/component"]))
		case labels["app.kubernetes.io/part-of"] == "kubiya-runner":
			names = append(names, "pods of the runner")
		case len(asList(selector["matchExpressions"])) == 1:
			names = append(names, texts(asMap(asList(selector["matchExpressions"])[0])["values"])...)
		default:
			return nil, fmt.Errorf("a rule names %v, which this program does not know", peer)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// outside are the nodes that are not in the namespace.
var outside = []string{"API server", "DNS", "DNS of OpenShift", "anywhere", "backend", "control bus", "internet, no private network"}

// linkLocal is where a cache of DNS on the node, or the resolver of a cloud, answers.
const linkLocal = "169.254.0.0/16"

// world is every address, of both families.
var world = []string{"0.0.0.0/0", "::/0"}

// picture draws who may begin to talk to whom: into each pod as its own policy says, and out of the namespace. DNS is left out, everybody asks it.
func picture(flows []flow) string {
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart LR\n  subgraph namespace\n")
	nodes := map[string]string{}
	add := func(name string) {
		if nodes[name] == "" {
			nodes[name] = "n" + strconv.Itoa(len(nodes))
		}
	}
	var drawn []flow
	for _, flow := range flows {
		leaves := slices.Contains(outside, flow.to)
		if strings.HasPrefix(flow.to, "DNS") || !flow.ingress && !leaves {
			continue
		}
		drawn = append(drawn, flow)
		add(flow.from)
		add(flow.to)
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if !slices.Contains(outside, name) {
			fmt.Fprintf(&b, "    %s[%q]\n", nodes[name], name)
		}
	}
	b.WriteString("  end\n")
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if slices.Contains(outside, name) {
			fmt.Fprintf(&b, "  %s([%q])\n", nodes[name], name)
		}
	}
	for _, flow := range drawn {
		fmt.Fprintf(&b, "  %s -->|%q| %s\n", nodes[flow.from], flow.ports, nodes[flow.to])
	}
	b.WriteString("```\n")
	return b.String()
}

func flowsTable(flows []flow) string {
	var rows [][]string
	for _, flow := range flows {
		says := "sender"
		if flow.ingress {
			says = "receiver"
		}
		rows = append(rows, []string{flow.from, flow.to, flow.ports, says})
	}
	return table([]string{"from", "to", "ports of the receiver", "by the policy of the"}, rows)
}
