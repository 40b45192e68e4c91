// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubiyabot/otelcol-runner/internal/configfile"
	"github.com/kubiyabot/otelcol-runner/internal/report"
)

// others is the discovery that Prometheus has besides kubernetes, dns, file, http and static, which this distribution has.
var others = []string{
	"aws", "azure", "consul", "digitalocean", "docker", "dockerswarm", "ec2", "ecs", "elasticache", "eureka", "gce", "hetzner", "ionos", "kuma", "lightsail",
	"linode", "marathon", "msk", "nerve", "nomad", "oci", "openstack", "outscale", "ovhcloud", "puppetdb", "rds", "scaleway", "serverset", "stackit",
	"triton", "uyuni", "vultr",
}

// isOther says whether a key is discovery of Prometheus that this distribution is built without.
func isOther(key string) bool {
	name, is := strings.CutSuffix(key, "_sd_configs")
	return is && slices.Contains(others, name)
}

func isDiscovery(key string) bool {
	return key == "static_configs" || strings.HasSuffix(key, "_sd_configs")
}

func discoveryRules() []Rule {
	const bad, good = "kubernetes_sd_configs:\n  - role: pod\n", "kubernetes_sd_configs:\n  - role: pod\n    namespaces: {names: [runner]}\n"
	return []Rule{
		{
			ID: "no-namespace", Severity: report.Error, Elsewhere: report.Info,
			Summary: "Discovery in Kubernetes, or k8s_attributes, that names no namespace.",
			Why:     "It lists and watches the whole cluster. Under a Role that is forbidden, and nothing is found; under a ClusterRole it reads what is none of the runner's.",
			Fix:     "name it: namespaces: {names: [...]}",
			Bad:     ofJob(bad), Good: ofJob(good),
			check: checkNamespace,
		},
		{
			ID: "cluster-rights", Severity: report.Error, Elsewhere: report.Info,
			Summary: "The role node, or attach_metadata of nodes or namespaces.",
			Why:     "Nodes and namespaces are objects of the cluster: reading them needs a ClusterRole, and a runner has a Role in one namespace.",
			Fix:     "use the role pod or endpointslice, and take what is needed from labels of the pod",
			Bad:     ofJob("kubernetes_sd_configs:\n  - role: pod\n    namespaces: {names: [runner]}\n    attach_metadata: {node: true}\n"),
			Good:    ofJob(good),
			check:   checkClusterRights,
		},
		{
			ID: "endpoints-role", Severity: report.Warning, Elsewhere: report.Info,
			Summary: "The role endpoints.",
			Why:     "Endpoints are deprecated since Kubernetes 1.33 and end at 1,000 addresses; a runner's Role allows endpointslices, not endpoints.",
			Fix:     "use the role endpointslice; its labels are called __meta_kubernetes_endpointslice_*",
			Bad:     ofJob("kubernetes_sd_configs:\n  - role: endpoints\n    namespaces: {names: [runner]}\n"),
			Good:    ofJob("kubernetes_sd_configs:\n  - role: endpointslice\n    namespaces: {names: [runner]}\n"),
			check:   checkEndpointsRole,
		},
		{
			ID: "unknown-discovery", Severity: report.Error, Elsewhere: report.Info,
			Summary: "Discovery that this distribution is built without.",
			Why:     "The collector does not start with it. It has kubernetes, dns, file, http and static discovery.",
			Fix:     "use one of the five, or build a distribution with it (docs/custom-distribution.md)",
			Bad:     ofJob("consul_sd_configs: [{server: 'consul:8500'}]\n"),
			Good:    ofJob("dns_sd_configs: [{names: [tool-manager], type: A, port: 3001}]\n"),
			check:   checkUnknownDiscovery,
		},
		{
			ID: "never-set-label", Severity: report.Error, Elsewhere: report.Warning, Fixable: true,
			Summary: "A rule that reads a label that is never there: of another role, misspelled, with characters that discovery replaces by _, or __meta_* of a series.",
			Why:     "An absent label is empty: a keep rule drops everything, a drop rule nothing, and what is copied is nothing.",
			Fix:     "correct the label, or move the rule to relabel_configs",
			Bad:     ofJob(good + "relabel_configs:\n  - {source_labels: [__meta_kubernetes_pod_label_app.kubernetes.io/name], target_label: app}\n"),
			Good:    ofJob(good + "relabel_configs:\n  - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], target_label: app}\n"),
			check:   checkNeverSet,
		},
	}
}

// eachKubernetes calls visit for each kubernetes_sd_configs item.
func (c *checker) eachKubernetes(visit func(j job, sd *yaml.Node)) {
	for _, j := range c.jobs {
		for _, sd := range configfile.Items(j.Get("kubernetes_sd_configs")) {
			if sd.Kind == yaml.MappingNode {
				visit(j, sd)
			}
		}
	}
}

// role returns the role of a discovery, empty where it is not known.
func (c *checker) role(sd *yaml.Node) string {
	value, known := c.file.Known(configfile.Get(sd, "role"))
	if !known {
		return ""
	}
	return strings.ToLower(value)
}

func isTrue(n *yaml.Node) bool { return n != nil && n.Value == "true" }

func checkNamespace(c *checker) {
	c.eachKubernetes(func(j job, sd *yaml.Node) {
		namespaces := configfile.Get(sd, "namespaces")
		names := configfile.Get(namespaces, "names")
		switch {
		case c.role(sd) == "node", isTrue(configfile.Get(namespaces, "own_namespace")), len(configfile.Items(names)) > 0:
		case c.file.HasReference(names) || namespaces != nil && namespaces.Kind == yaml.ScalarNode && c.file.HasReference(namespaces):
		default:
			at := configfile.Key(sd, "role")
			if at == nil {
				at = sd
			}
			c.add(at, "%s discovers in all namespaces of the cluster", j.title())
		}
	})
	for _, p := range c.components("processors", "k8s_attributes", "k8sattributes") {
		if configfile.Get(p.config, "filter", "namespace") == nil && configfile.Get(p.config, "filter", "namespace_from_env_var") == nil {
			c.add(p.key, "%s watches the pods of the whole cluster", shown(p.id)).Fix = "set filter: {namespace: …}"
		}
	}
}

func checkClusterRights(c *checker) {
	c.eachKubernetes(func(j job, sd *yaml.Node) {
		if c.role(sd) == "node" {
			c.add(configfile.Get(sd, "role"), "%s discovers nodes", j.title())
		}
		for _, kind := range []string{"node", "namespace"} {
			if n := configfile.Get(sd, "attach_metadata", kind); isTrue(n) {
				c.add(configfile.Key(configfile.Get(sd, "attach_metadata"), kind), "%s reads the labels of %ss", j.title(), kind)
			}
		}
	})
}

func checkEndpointsRole(c *checker) {
	c.eachKubernetes(func(j job, sd *yaml.Node) {
		if c.role(sd) == "endpoints" {
			c.add(configfile.Get(sd, "role"), "%s discovers through Endpoints", j.title())
		}
	})
}

func checkUnknownDiscovery(c *checker) {
	for _, j := range c.jobs {
		for key := range configfile.Pairs(j.Node) {
			if isOther(key.Value) {
				c.add(key, "the collector has no %s", key.Value)
			}
		}
	}
}

// The labels of discovery/kubernetes, less those that hold names of labels and annotations.
var (
	podLabels = []string{
		"pod_name", "pod_ip", "pod_container_name", "pod_container_id", "pod_container_image", "pod_container_port_name", "pod_container_port_number",
		"pod_container_port_protocol", "pod_container_init", "pod_cronjob_name", "pod_deployment_name", "pod_job_name", "pod_ready", "pod_phase",
		"pod_node_name", "pod_host_ip", "pod_uid", "pod_controller_kind", "pod_controller_name",
	}
	serviceLabels = []string{
		"service_name", "service_port_name", "service_port_number", "service_port_protocol", "service_cluster_ip", "service_loadbalancer_ip",
		"service_external_name", "service_type",
	}
	endpointsLabels = []string{
		"endpoints_name", "endpoint_node_name", "endpoint_hostname", "endpoint_ready", "endpoint_port_name", "endpoint_port_protocol",
		"endpoint_address_target_kind", "endpoint_address_target_name",
	}
	endpointsliceLabels = []string{
		"endpointslice_name", "endpointslice_address_type", "endpointslice_port", "endpointslice_port_name", "endpointslice_port_protocol",
		"endpointslice_port_app_protocol", "endpointslice_endpoint_conditions_ready", "endpointslice_endpoint_conditions_serving",
		"endpointslice_endpoint_conditions_terminating", "endpointslice_endpoint_zone", "endpointslice_endpoint_hostname",
		"endpointslice_endpoint_node_name", "endpointslice_address_target_kind", "endpointslice_address_target_name",
	}
	ingressLabels = []string{"ingress_name", "ingress_scheme", "ingress_host", "ingress_path", "ingress_class_name"}
	nodeLabels    = []string{"node_name", "node_provider_id"}
)

// roleLabels says what a role sets, and the kinds of objects whose labels and annotations it copies. The labels of a service's
// ports are not set for its endpoints.
var roleLabels = map[string]struct {
	names   []string
	objects []string
}{
	"pod":           {podLabels, []string{"pod"}},
	"service":       {serviceLabels, []string{"service"}},
	"endpoints":     {slices.Concat(endpointsLabels, podLabels, []string{"service_name"}), []string{"endpoints", "service", "pod"}},
	"endpointslice": {slices.Concat(endpointsliceLabels, podLabels, []string{"service_name"}), []string{"endpointslice", "service", "pod"}},
	"ingress":       {ingressLabels, []string{"ingress"}},
	"node":          {nodeLabels, []string{"node"}},
}

const kubernetesPrefix = "__meta_kubernetes_"

var objectLabel = regexp.MustCompile(`^([a-z]+)_(label|labelpresent|annotation|annotationpresent)_(.*)$`)

// setBy says whether a discovery sets a label; name is without the prefix.
func (c *checker) setBy(sd *yaml.Node, name string) bool {
	role := c.role(sd)
	set, known := roleLabels[role]
	if !known {
		return true
	}
	if name == "namespace" {
		return role != "node"
	}
	objects := set.objects
	for _, kind := range []string{"node", "namespace"} {
		if isTrue(configfile.Get(sd, "attach_metadata", kind)) {
			objects = slices.Concat(objects, []string{kind})
		}
	}
	if m := objectLabel.FindStringSubmatch(name); m != nil {
		return slices.Contains(objects, m[1])
	}
	switch {
	case slices.Contains(set.names, name):
		return true
	case strings.HasPrefix(name, "endpointslice_endpoint_topology_"):
		return role == "endpointslice"
	case name == "node_name":
		return slices.Contains(objects, "node")
	case strings.HasPrefix(name, "node_condition_"), strings.HasPrefix(name, "node_address_"):
		return role == "node"
	}
	return false
}

var labelCharacters = regexp.MustCompile(`^[a-zA-Z0-9_]*$`)

func checkNeverSet(c *checker) {
	for _, j := range c.jobs {
		c.checkTargetSources(j)
		c.checkSeriesSources(j)
	}
}

// checkTargetSources looks at what the rules for targets read of Kubernetes's labels.
func (c *checker) checkTargetSources(j job) {
	kubernetes := configfile.Items(j.Get("kubernetes_sd_configs"))
	more := false
	for key := range configfile.Pairs(j.Node) {
		more = more || isDiscovery(key.Value) && key.Value != "kubernetes_sd_configs" && key.Value != "static_configs"
	}
	made := map[string]bool{} // by the rules before
	for _, r := range j.relabel {
		for _, n := range configfile.Items(configfile.Get(r.Node, "source_labels")) {
			name, isMeta := strings.CutPrefix(c.file.Value(n), kubernetesPrefix)
			if !isMeta || c.file.HasReference(n) || made[kubernetesPrefix+name] {
				continue
			}
			if m := objectLabel.FindStringSubmatch(name); m != nil && !labelCharacters.MatchString(m[3]) {
				f := c.add(n, "label %s never exists: discovery replaces what is not a letter or a digit by _", shown(c.file.Value(n)))
				f.Fix = "write " + kubernetesPrefix + sanitise(name)
				c.replace(f, n, kubernetesPrefix+sanitise(name))
				continue
			}
			if !more && !slices.ContainsFunc(kubernetes, func(sd *yaml.Node) bool { return c.setBy(sd, name) }) {
				c.add(n, "label %s is not set by %s", shown(c.file.Value(n)), c.discoveryName(kubernetes))
			}
		}
		made[r.Config.TargetLabel] = true
	}
}

// checkSeriesSources looks for labels of targets that are no labels of series.
func (c *checker) checkSeriesSources(j job) {
	made := map[string]bool{}
	for _, r := range j.metricRelabel {
		for _, n := range configfile.Items(configfile.Get(r.Node, "source_labels")) {
			name := c.file.Value(n)
			gone := strings.HasPrefix(name, "__meta_") || slices.Contains([]string{"__address__", "__scheme__", "__metrics_path__"}, name)
			if gone && !made[name] {
				c.add(n, "label %s is gone when series are relabelled", shown(name))
			}
		}
		made[r.Config.TargetLabel] = true
	}
}

func (c *checker) discoveryName(kubernetes []*yaml.Node) string {
	var roles []string
	for _, sd := range kubernetes {
		roles = append(roles, c.role(sd))
	}
	switch len(roles) {
	case 0:
		return "static discovery"
	case 1:
		return "the role " + roles[0]
	}
	return "the roles " + strings.Join(roles, ", ")
}

// sanitise makes a name of a label what discovery makes of it.
func sanitise(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}
