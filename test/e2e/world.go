// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubiyabot/otelcol-runner/internal/testbed"
	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/managed"
	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/node"
	"github.com/kubiyabot/otelcol-runner/test/internal/admission"
)

const (
	firstNamespace  = "acme-runner"
	secondNamespace = "globex-runner"
	decoyNamespace  = "decoy"

	// collectorContainer is the collector's container in its pod.
	collectorContainer = "collector"

	// scrapeInterval is short, so that a run is: the chart's default is 30 s.
	scrapeInterval = 2 * time.Second

	// tokenSecret has the token of the managed service.
	tokenSecret = "remote-write"

	// volumes are for each collector there ever is, and for the engine.
	volumes = 6
)

// decoyComponents are in the decoy namespace, labelled and annotated like a runner's: each component with its port and the image that it
// runs. What passes for kube-state-metrics there is not one.
var decoyComponents = map[string]struct {
	port  int32
	image string
}{
	"agent-manager":      {8080, "ghcr.io/kubiyabot/agent-manager:v0.5.1"},
	"tool-manager":       {3001, "ghcr.io/kubiyabot/tool-manager:0.5.8"},
	"workflow-engine":    {8080, "ghcr.io/kubiyabot/workflow-engine:v1.46.2"},
	"kube-state-metrics": {8080, "ghcr.io/kubiyabot/workflow-engine:v1.46.2"},
}

// world is what the scenarios happen in.
type world struct {
	*checks
	root     string // of the repository
	folder   string // for files of the run
	node     *node.Node
	cluster  *cluster
	service  *managed.Service
	clerk    *clerk
	standIns *standIns
	rest     func() // ends the clerk's work, and waits until it has

	first, second *runner
	// backendLog is what the managed service has to say.
	backendLog testbed.Buffer
	// before is what was in a namespace, or outside of all, before anything was installed.
	before  map[string][]string
	windows []window
	most    int // pods of runners at one time
	totals  totals
	// refusedInScaling are samples that the backend refused while two collectors asked the same targets.
	refusedInScaling int64
}

// runners are both of them.
func (w *world) runners() []*runner { return []*runner{w.first, w.second} }

// count remembers how many pods of runners there were at most.
func (w *world) count(pods []corev1.Pod) { w.most = max(w.most, len(pods)) }

// create starts the world: the node with its images, the managed service, the namespaces, the policies, and the decoys.
// After an error the world is as far as it came, and has to be ended as well.
func create(ctx context.Context, c *checks, root, folder string) (w *world, err error) {
	w = &world{checks: c, root: root, folder: folder, before: map[string][]string{}}
	w.say("starting the node")
	if w.node, err = node.Up(ctx, root, c.log); err != nil {
		return w, err
	}
	w.say("the node is up")
	if w.cluster, err = connect(w.node.Kubeconfig); err != nil {
		return w, err
	}
	if err := w.node.AddVolumes(ctx, volumes); err != nil {
		return w, err
	}
	if err := w.loadImages(ctx); err != nil {
		return w, err
	}
	if w.service, err = managed.Start(filepath.Join(folder, "backend"), node.Machine, &w.backendLog); err != nil {
		return w, err
	}
	w.say("enforcing NetworkPolicies")
	if err := w.node.EnforceNetworkPolicies(ctx, c.log); err != nil {
		return w, err
	}
	w.standIns = newStandIns(w.node.Dial)
	w.clerk = newClerk(w.cluster, w.standIns)
	w.rest = w.clerk.work(context.WithoutCancel(ctx))

	h, err := newHelm(root, w.node.Kubeconfig, folder)
	if err != nil {
		return w, err
	}
	w.plan(h)
	if err := admission.Load(ctx, w.cluster.config, filepath.Join(root, "test", "charts", "policies")); err != nil {
		return w, err
	}
	for _, r := range w.runners() {
		if err := w.prepare(ctx, r); err != nil {
			return w, err
		}
	}
	return w, w.makeDecoys(ctx)
}

// newRunner is a runner of an organization, whose values are in a file of the folder values.
func (w *world) newRunner(h *helm, namespace, organization, file string, needed, others []string) *runner {
	values := func(name string) string { return "--values=" + filepath.Join(w.root, "test", "e2e", "values", name) }
	return &runner{
		release:      release{helm: h, name: "runner", namespace: namespace},
		organization: organization, runnerName: "runner",
		chart:  filepath.Join(w.root, "charts", "runner"),
		needed: append([]string{"--set=global.organization=" + organization, "--set=otel.backend.endpoint=" + w.service.URL() + managed.WritePath}, needed...),
		others: append([]string{values("small.yaml"), values(file)}, others...),
	}
}

// plan says which runners there are to be: the first is installed as the README says it; the second has the engine that needs
// privileges, a name of its own, and gets its token as on a machine of Azure.
func (w *world) plan(h *helm) {
	w.first = w.newRunner(h, firstNamespace, "acme", "first.yaml",
		[]string{"--set=otel.backend.preset=prometheus"},
		[]string{"--set=otel.tests.query.url=" + w.service.URL()})
	w.second = w.newRunner(h, secondNamespace, "globex", "second.yaml",
		[]string{"--set=otel.backend.preset=azure", "--set=otel.backend.azure.auth=managedIdentity"},
		[]string{"--set=global.runnerName=production", "--set=otel.extraEnv[0].name=IDENTITY_ENDPOINT", "--set=otel.extraEnv[0].value=" + w.service.URL() + managed.IdentityPath})
	w.second.runnerName = "production"
}

// without are the flags that the README names, but for one.
func (r *runner) without(key string) []string {
	var flags []string
	for _, flag := range r.needed {
		if !strings.HasPrefix(flag, "--set="+key+"=") {
			flags = append(flags, flag)
		}
	}
	return flags
}

// prepare makes a runner's namespace, with what has to be there before an install: the credentials.
func (w *world) prepare(ctx context.Context, r *runner) error {
	guard := map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted", "kubiya.io/policies": "enforced"}
	if r == w.second {
		// The engine is privileged, and that it is exempt from the policies is by its label.
		guard["pod-security.kubernetes.io/enforce"], guard["pod-security.kubernetes.io/warn"] = "privileged", "privileged"
	}
	if err := w.cluster.makeNamespace(ctx, r.namespace, guard); err != nil {
		return err
	}
	for _, name := range []string{"kubiya-runner-nats-creds-runner", "kubiya-runner-nats-creds-customer"} {
		if err := w.cluster.makeSecret(ctx, r.namespace, name, map[string]string{"nats.creds": rand.Text()}); err != nil {
			return err
		}
	}
	if r == w.first {
		if err := w.cluster.makeSecret(ctx, r.namespace, tokenSecret, map[string]string{"token": w.service.Token()}); err != nil {
			return err
		}
	}
	if err := w.autoscaler(ctx, r.namespace); err != nil {
		return err
	}
	_, seen := await(ctx, 10*time.Second, func(ctx context.Context) (bool, string, error) {
		_, err := w.cluster.CoreV1().ServiceAccounts(r.namespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, "there", err
	})
	if seen != "there" {
		return fmt.Errorf("the namespace %s has no default service account: %s", r.namespace, seen)
	}
	objects, err := w.cluster.objects(ctx, r.namespace)
	if err != nil {
		return err
	}
	w.before[r.namespace] = objects
	w.clerk.visit(r.namespace)
	return nil
}

// autoscaler is a customer's own: dashboards read what kube-state-metrics says about it. It has no room to change anything.
func (w *world) autoscaler(ctx context.Context, namespace string) error {
	replicas := int32(3)
	_, err := w.cluster.AutoscalingV2().HorizontalPodAutoscalers(namespace).Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "tool-manager"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "runner-tool-manager"},
			MinReplicas:    &replicas, MaxReplicas: replicas,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr(int32(80))},
			}}},
		},
	}, metav1.CreateOptions{})
	return err
}

func ptr[T any](v T) *T { return &v }

// makeDecoys fills a namespace with what looks like a runner.
func (w *world) makeDecoys(ctx context.Context) error {
	if err := w.cluster.makeNamespace(ctx, decoyNamespace, nil); err != nil {
		return err
	}
	for component, decoy := range decoyComponents {
		labels := map[string]string{
			componentLabel: component, "app.kubernetes.io/name": component, "app.kubernetes.io/instance": "runner", "app.kubernetes.io/part-of": "kubiya-runner",
		}
		_, err := w.cluster.AppsV1().Deployments(decoyNamespace).Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: component},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": fmt.Sprint(decoy.port)}},
					Spec: corev1.PodSpec{Containers: []corev1.Container{{
						Name: component, Image: decoy.image, ImagePullPolicy: corev1.PullNever,
						Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: decoy.port}},
					}}},
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		_, err = w.cluster.CoreV1().Services(decoyNamespace).Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Name: component, Labels: map[string]string{componentLabel: component, "kubiya.io/metrics-name": component},
				Annotations: map[string]string{"kubiya.io/probe": "http_2xx"},
			},
			Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	return w.cluster.awaitReady(ctx, decoyNamespace, time.Minute)
}

// storedBetween is how many samples of the runner have timestamps between two times.
func (w *world) storedBetween(ctx context.Context, r *runner, from, to time.Time) int {
	n := 0
	for series, err := range w.service.Store().Series(ctx, from.UnixMilli(), to.UnixMilli(), labels.MustNewMatcher(labels.MatchEqual, "namespace", r.namespace)) {
		if err != nil {
			return n
		}
		for _, s := range series.Samples {
			if !value.IsStaleNaN(s.F) && !math.IsNaN(s.F) {
				n++
			}
		}
	}
	return n
}

// destroy ends the world, unless it is to be kept to look at.
func (w *world) destroy(ctx context.Context, keep bool) error {
	if w.rest != nil {
		w.rest()
	}
	var errs []error
	switch {
	case w.node != nil && keep:
		w.say("kept: KUBECONFIG=%s; `test/e2e/cluster.sh down` ends it", w.node.Kubeconfig)
	case w.node != nil:
		errs = append(errs, w.node.Down(ctx))
	}
	if w.service != nil {
		errs = append(errs, w.service.Close())
	}
	return errors.Join(errs...)
}
