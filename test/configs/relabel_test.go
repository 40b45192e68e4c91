// SPDX-License-Identifier: Apache-2.0

package configs_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/scrape"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
)

// scrapeConfigs reads the jobs of collector.yaml as the collector itself does.
func scrapeConfigs(t *testing.T, runnerNamespace string) []*config.ScrapeConfig {
	t.Helper()
	for name, value := range baseEnv("http://127.0.0.1:1/api/v1/write") {
		t.Setenv(name, value)
	}
	t.Setenv("RUNNER_NAMESPACE", runnerNamespace)
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"file:" + configFiles(t)["collector.yaml"]},
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()},
		DefaultScheme:     "env",
	})
	require.NoError(t, err)
	whole, err := resolver.Resolve(t.Context())
	require.NoError(t, err)
	section, err := whole.Sub("receivers::prometheus")
	require.NoError(t, err)
	cfg, ok := prometheusreceiver.NewFactory().CreateDefaultConfig().(*prometheusreceiver.Config)
	require.True(t, ok)
	require.NoError(t, section.Unmarshal(cfg))
	require.NoError(t, cfg.PrometheusConfig.Validate())
	return cfg.PrometheusConfig.ScrapeConfigs
}

func jobsByRole(t *testing.T, all []*config.ScrapeConfig) map[kubernetes.Role][]*config.ScrapeConfig {
	t.Helper()
	jobs := map[kubernetes.Role][]*config.ScrapeConfig{}
	for _, job := range all {
		for _, sd := range job.ServiceDiscoveryConfigs {
			if k8s, ok := sd.(*kubernetes.SDConfig); ok {
				jobs[k8s.Role] = append(jobs[k8s.Role], job)
			}
		}
	}
	return jobs
}

// Every job that discovers in Kubernetes names the one namespace and asks for nothing of the cluster's.
func TestDiscoveryIsScoped(t *testing.T) {
	discoveries := 0
	for _, job := range scrapeConfigs(t, namespace) {
		assert.False(t, job.HonorLabels, job.JobName)
		assert.Less(t, job.ScrapeTimeout, job.ScrapeInterval, job.JobName)
		for _, sd := range job.ServiceDiscoveryConfigs {
			k8s, ok := sd.(*kubernetes.SDConfig)
			if !ok {
				continue
			}
			discoveries++
			assert.Equal(t, []string{namespace}, k8s.NamespaceDiscovery.Names, job.JobName)
			assert.False(t, k8s.NamespaceDiscovery.IncludeOwnNamespace, job.JobName)
			assert.Equal(t, kubernetes.AttachMetadataConfig{}, k8s.AttachMetadata, job.JobName)
		}
	}
	assert.Equal(t, 4, discoveries)
}

// Names that Kubernetes allows and YAML takes for something else. One that got lost would mean the whole cluster.
func TestNamespaceStaysText(t *testing.T) {
	for _, name := range []string{"007", "1e3", "0x1f", "12", "true", "null", "2026-01-02"} {
		names := 0
		for _, job := range scrapeConfigs(t, name) {
			for _, sd := range job.ServiceDiscoveryConfigs {
				switch sd := sd.(type) {
				case *kubernetes.SDConfig:
					assert.Equal(t, []string{name}, sd.NamespaceDiscovery.Names, job.JobName)
				case discovery.StaticConfig:
					assert.Equal(t, model.LabelValue(name), sd[0].Labels["namespace"], job.JobName)
					assert.Equal(t, model.LabelValue(name), sd[0].Labels["kubernetes_namespace"], job.JobName)
				}
				names++
			}
		}
		assert.Equal(t, 5, names)
	}
}

func TestEveryJobDropsTargetInfo(t *testing.T) {
	for _, job := range scrapeConfigs(t, namespace) {
		keeps := func(ls labels.Labels) bool {
			return relabel.ProcessBuilder(labels.NewBuilder(ls), job.MetricRelabelConfigs...)
		}
		assert.False(t, keeps(labels.FromStrings("__name__", "target_info", "organization", "evil")), job.JobName)
		assert.True(t, keeps(labels.FromStrings("__name__", "go_goroutines")), job.JobName)
	}
}

// with is a set of labels with some changed; an empty value takes one away.
func with(base map[string]string, changed map[string]string) map[string]string {
	out := maps.Clone(base)
	maps.Copy(out, changed)
	maps.DeleteFunc(out, func(_, value string) bool { return value == "" })
	return out
}

const (
	metaPod     = "__meta_kubernetes_pod_"
	metaService = "__meta_kubernetes_service_"
	metaSlice   = "__meta_kubernetes_endpointslice_"
)

// What discovery says of the container port of a component that asks for itself.
var componentPort = map[string]string{
	"__address__":                 "10.1.2.3:8080",
	"__meta_kubernetes_namespace": namespace,
	metaPod + "name":              "tool-manager-0",
	metaPod + "ip":                "10.1.2.3",
	metaPod + "host_ip":           "10.0.0.1",
	metaPod + "phase":             "Running",
	metaPod + "label_app_kubernetes_io_kubiya_runner_component":        "tool-manager",
	metaPod + "labelpresent_app_kubernetes_io_kubiya_runner_component": "true",
	metaPod + "label_app_kubernetes_io_name":                           "tool-manager",
	metaPod + "label_app_kubernetes_io_version":                        "0.5.8",
	metaPod + "label_helm_sh_chart":                                    "tool-manager-0.5.8",
	metaPod + "annotation_prometheus_io_scrape":                        "true",
	metaPod + "annotation_prometheus_io_port":                          "8080",
	metaPod + "container_name":                                         "tool-manager",
	metaPod + "container_image":                                        "tool-manager:0.5.8",
	metaPod + "container_port_name":                                    "http",
	metaPod + "container_port_number":                                  "8080",
	metaPod + "container_port_protocol":                                "TCP",
	metaPod + "container_init":                                         "false",
}

// What the jobs make of it.
var componentTarget = map[string]string{
	"__address__": "10.1.2.3:8080", "__metrics_path__": "/metrics", "__scheme__": "http",
	"instance": "10.1.2.3:8080", "app": "tool-manager", "namespace": namespace, "kubernetes_namespace": namespace,
	"pod": "tool-manager-0", "container": "tool-manager", "container_name": "tool-manager", "container_image": "tool-manager:0.5.8",
	"app_name": "tool-manager", "version_app_via_helm": "0.5.8", "version_helm_chart": "tool-manager-0.5.8",
}

// checkTarget finds the one job among jobs that takes what was discovered, and compares the target. job "" expects that
// none takes it.
func checkTarget(t *testing.T, jobs []*config.ScrapeConfig, discovered map[string]string, job string, want map[string]string) {
	t.Helper()
	set := model.LabelSet{}
	for name, value := range discovered {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	taken := map[string]map[string]string{}
	for _, j := range jobs {
		target, err := scrape.PopulateLabels(labels.NewBuilder(labels.EmptyLabels()), j, set, nil)
		require.NoError(t, err)
		if target.IsEmpty() {
			continue
		}
		assert.Equal(t, j.JobName, target.Get("job"))
		taken[j.JobName] = map[string]string{}
		target.Range(func(l labels.Label) {
			// What the series get, and where the page is.
			if !strings.HasPrefix(l.Name, "__") && l.Name != "job" || slices.Contains([]string{"__address__", "__metrics_path__", "__scheme__"}, l.Name) {
				taken[j.JobName][l.Name] = l.Value
			}
		})
	}
	if job == "" {
		assert.Empty(t, taken)
		return
	}
	assert.Equal(t, map[string]map[string]string{job: want}, taken)
}

func TestPodTargets(t *testing.T) {
	pods := jobsByRole(t, scrapeConfigs(t, namespace))[kubernetes.RolePod]
	require.Len(t, pods, 2)
	f := func(name string, changed map[string]string, job string, want map[string]string) {
		t.Helper()
		t.Run(name, func(t *testing.T) { checkTarget(t, pods, with(componentPort, changed), job, with(want, nil)) })
	}
	label := func(name string) string { return metaPod + "label_app_kubernetes_io_" + name }
	annotation := func(name string) string { return metaPod + "annotation_prometheus_io_" + name }
	const components = "runner-components"

	f("a component", nil, components, componentTarget)
	f("path and scheme", map[string]string{annotation("path"): "/internal/metrics", annotation("scheme"): "https"}, components,
		with(componentTarget, map[string]string{"__metrics_path__": "/internal/metrics", "__scheme__": "https"}))
	f("a scheme that is none", map[string]string{annotation("scheme"): "ftp"}, components, componentTarget)
	f("IPv6", map[string]string{"__address__": "[fd00::3]:8080", metaPod + "ip": "fd00::3"}, components,
		with(componentTarget, map[string]string{"__address__": "[fd00::3]:8080", "instance": "[fd00::3]:8080"}))
	f("no version or chart", map[string]string{label("version"): "", metaPod + "label_helm_sh_chart": ""}, components,
		with(componentTarget, map[string]string{"version_app_via_helm": "", "version_helm_chart": ""}))
	f("a pending pod with an address", map[string]string{metaPod + "phase": "Pending"}, components, componentTarget)
	f("no port annotation", map[string]string{annotation("port"): ""}, components, componentTarget)

	f("another port of the pod", map[string]string{metaPod + "container_port_number": "9090", "__address__": "10.1.2.3:9090"}, "", nil)
	f("a container without ports", map[string]string{
		metaPod + "container_port_number": "", metaPod + "container_port_name": "", metaPod + "container_port_protocol": "", "__address__": "10.1.2.3",
	}, "", nil)
	f("a UDP port", map[string]string{metaPod + "container_port_protocol": "UDP"}, "", nil)
	f("an init container", map[string]string{metaPod + "container_init": "true"}, "", nil)
	f("does not ask", map[string]string{annotation("scrape"): ""}, "", nil)
	f("asks not to be", map[string]string{annotation("scrape"): "false"}, "", nil)
	f("not of the runner", map[string]string{label("kubiya_runner_component"): ""}, "", nil)
	f("finished", map[string]string{metaPod + "phase": "Succeeded"}, "", nil)
	f("failed", map[string]string{metaPod + "phase": "Failed"}, "", nil)
	f("the collector", map[string]string{label("kubiya_runner_component"): "otel-collector"}, "", nil)

	state := map[string]string{
		"__address__": "10.1.2.3:8080", "__metrics_path__": "/metrics", "__scheme__": "http",
		"instance": "10.1.2.3:8080", "app": "kube-state-metrics", "exporter": "kube-state-metrics", "kubernetes_namespace": namespace,
	}
	f("kube-state-metrics", map[string]string{label("kubiya_runner_component"): "kube-state-metrics", label("name"): "kube-state-metrics"}, "kube-state-metrics", state)
	f("kube-state-metrics that does not ask", map[string]string{label("kubiya_runner_component"): "kube-state-metrics", annotation("scrape"): ""}, "kube-state-metrics", state)
	f("kube-state-metrics of a chart of its own", map[string]string{label("kubiya_runner_component"): "", label("name"): "kubestatemetrics"}, "kube-state-metrics", state)
	f("finished kube-state-metrics", map[string]string{label("kubiya_runner_component"): "kube-state-metrics", metaPod + "phase": "Failed"}, "", nil)
	f("kube-state-metrics' own metrics", map[string]string{
		label("kubiya_runner_component"): "kube-state-metrics", metaPod + "container_port_number": "8081", "__address__": "10.1.2.3:8081",
	}, "", nil)
	f("kube-state-metrics of another component's label", map[string]string{label("name"): "kube-state-metrics"}, components,
		with(componentTarget, map[string]string{"app_name": "kube-state-metrics"}))
}

func TestServiceTargets(t *testing.T) {
	services := jobsByRole(t, scrapeConfigs(t, namespace))[kubernetes.RoleEndpointSlice]
	require.Len(t, services, 1)
	endpoint := with(componentPort, map[string]string{
		metaPod + "annotation_prometheus_io_scrape":  "",
		metaPod + "annotation_prometheus_io_port":    "",
		metaService + "label_kubiya_io_metrics_name": "tool-manager",
		metaService + "name":                         "tool-manager",
		metaSlice + "name":                           "tool-manager-x",
		metaSlice + "port":                           "8080",
		metaSlice + "port_name":                      "http",
		metaSlice + "address_type":                   "IPv4",
	})
	f := func(name string, changed map[string]string, job string, want map[string]string) {
		t.Helper()
		t.Run(name, func(t *testing.T) { checkTarget(t, services, with(endpoint, changed), job, with(want, nil)) })
	}
	const apps = "kubiya-apps"

	f("a service", nil, apps, componentTarget)
	f("the service names the component", map[string]string{metaService + "label_kubiya_io_metrics_name": "sdk-server"}, apps,
		with(componentTarget, map[string]string{"app": "sdk-server"}))
	f("path and scheme of the service", map[string]string{
		metaService + "annotation_prometheus_io_path": "/m", metaService + "annotation_prometheus_io_scheme": "https",
	}, apps, with(componentTarget, map[string]string{"__metrics_path__": "/m", "__scheme__": "https"}))
	f("the annotated port", map[string]string{metaService + "annotation_prometheus_io_port": "8080"}, apps, componentTarget)
	f("IPv6", map[string]string{"__address__": "[fd00::3]:8080", metaPod + "ip": "fd00::3"}, apps,
		with(componentTarget, map[string]string{"__address__": "[fd00::3]:8080", "instance": "[fd00::3]:8080"}))
	f("a pod that asks but has no component label", map[string]string{
		metaPod + "annotation_prometheus_io_scrape": "true", metaPod + "labelpresent_app_kubernetes_io_kubiya_runner_component": "",
		metaPod + "label_app_kubernetes_io_kubiya_runner_component": "",
	}, apps, componentTarget)

	f("a pod that asks for itself", map[string]string{metaPod + "annotation_prometheus_io_scrape": "true"}, "", nil)
	f("a service that does not ask", map[string]string{metaService + "label_kubiya_io_metrics_name": ""}, "", nil)
	f("another port of the pod", map[string]string{metaSlice + "port": ""}, "", nil)
	f("another port of the service", map[string]string{metaService + "annotation_prometheus_io_port": "9090"}, "", nil)
	f("an address that the pod has not", map[string]string{metaPod + "ip": "10.1.2.4"}, "", nil)
	f("an endpoint without a pod", map[string]string{metaPod + "ip": "", metaPod + "name": "", metaPod + "phase": ""}, "", nil)
	f("a finished pod", map[string]string{metaPod + "phase": "Succeeded"}, "", nil)
	f("kube-state-metrics", map[string]string{metaPod + "label_app_kubernetes_io_kubiya_runner_component": "kube-state-metrics"}, "", nil)
	f("kube-state-metrics of a chart of its own", map[string]string{
		metaPod + "label_app_kubernetes_io_kubiya_runner_component": "", metaPod + "label_app_kubernetes_io_name": "kubestatemetrics",
	}, "", nil)
	f("the collector", map[string]string{metaPod + "label_app_kubernetes_io_kubiya_runner_component": "otel-collector"}, "", nil)
}
