// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubiyabot/otelcol-runner/test/internal/admission"
)

// leastPods is how many pods a runner has at the least.
const leastPods = 8

// install installs the first runner from the tree, with the values that the README names, into a namespace that enforces Pod
// Security `restricted` and the admission policies.
func install(ctx context.Context, w *world) error {
	r := w.first
	w.refusals(ctx, r)
	if err := w.guards(ctx, r); err != nil {
		return err
	}
	began := time.Now()
	said, err := r.install(ctx, r.chart)
	if !w.that(err == nil, "helm install runner charts/runner works with the values that the README names", "no error", "%v", err) {
		return err
	}
	w.that(strings.Contains(said, "STATUS: deployed"), "helm says that it is deployed, and what to look at next", "STATUS: deployed and notes", "%s", tail(said, 300))
	if !w.settles(ctx, r, "everything that was installed becomes ready") {
		return fmt.Errorf("nothing can be tested without a runner")
	}
	if err := w.noRestarts(ctx, r, "no container had to be started twice"); err != nil {
		return err
	}
	pods, err := w.cluster.pods(ctx, r.namespace, "")
	if err != nil {
		return err
	}
	w.that(len(pods) >= leastPods, "all components have their pods", fmt.Sprintf("at least %d", leastPods), "%d: %v", len(pods), addNames(nil, pods))
	w.count(pods)

	scoped, err := w.cluster.objects(ctx, "")
	if err != nil {
		return err
	}
	none(w.checks, "no object outside of the namespace is made", clusterScoped(less(scoped, w.before[""])))
	w.hardened(pods)
	warnings, err := w.warnings(ctx, r.namespace, "FailedCreate")
	if err != nil {
		return err
	}
	none(w.checks, "no pod is refused by Pod Security or a policy", warnings)

	w.delivers(ctx, r, "every component, probe and kube-state-metrics arrives at the backend", began)
	answered := w.service.Answered()
	delete(answered, 204)
	delete(answered, 200)
	w.that(len(answered) == 0, "the backend takes every request, with the token from the Secret", "no other status", "%v", answered)
	return nil
}

// refusals checks that an install without what it needs says so, and that a mistyped key is refused with the right one named.
func (w *world) refusals(ctx context.Context, r *runner) {
	for _, one := range []struct {
		name, pattern string
		flags         []string
	}{
		{"without an organization it does not install, and says which value is missing", `global\.organization is not set`, r.without("global.organization")},
		{"without a backend it does not install, and says which value is missing", `otel\.backend\.preset is not set`, r.without("otel.backend.preset")},
		{"without an endpoint it does not install, and says which value is missing", `otel\.backend\.endpoint is not set`, r.without("otel.backend.endpoint")},
		{"a mistyped key is refused, and the right one is named", `backand'?: .*did you mean .*backend`, append(slices.Clone(r.needed), "--set=otel.backand.preset=azure")},
	} {
		_, err := r.helm.run(ctx, append([]string{"install", r.name, r.chart, "--namespace", r.namespace, "--dry-run=client"}, one.flags...)...)
		w.matches(one.name, one.pattern, fmt.Sprint(err))
	}
}

// leastRules is how many rules a customer's policies have at the least.
const leastRules = 30

// guards checks that what guards the namespace does: the policies of a customer, each by what breaks it and what keeps it, and
// Pod Security.
func (w *world) guards(ctx context.Context, r *runner) error {
	verdict, err := admission.Judge(ctx, w.cluster.config, filepath.Join(w.root, "test", "charts", "policies"))
	if err != nil {
		return err
	}
	w.that(len(verdict.Rules) >= leastRules, "the API server enforces the policies", fmt.Sprintf("at least %d rules", leastRules), "%d", len(verdict.Rules))
	none(w.checks, "each of them denies what breaks it, and admits what keeps it", verdict.Faults)

	root := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "root"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "root", Image: "registry.example.com/root:1.0.0"}}},
	}
	_, err = w.cluster.CoreV1().Pods(r.namespace).Create(ctx, &root, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	w.matches("Pod Security `restricted` is enforced on the namespace", `violates PodSecurity "restricted`, fmt.Sprint(err))
	w.before[""], err = w.cluster.objects(ctx, "")
	return err
}

// hardened checks what a restricted namespace does not: who has a token, and that nothing secret is in an environment.
func (w *world) hardened(pods []corev1.Pod) {
	callers := []string{collectorComponent, "kube-state-metrics", "agent-manager", "tool-manager"}
	var secret, token, links, root []string
	for _, pod := range pods {
		if found := tokens(pod.Spec.Volumes); len(found) > 0 && !slices.Contains(callers, pod.Labels[componentLabel]) {
			token = append(token, pod.Name)
		}
		if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks {
			links = append(links, pod.Name)
		}
		for _, container := range pod.Spec.Containers {
			for _, variable := range container.Env {
				if variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
					secret = append(secret, pod.Name+": "+variable.Name)
				}
			}
			if context := container.SecurityContext; context == nil || context.ReadOnlyRootFilesystem == nil || !*context.ReadOnlyRootFilesystem {
				root = append(root, pod.Name+"/"+container.Name)
			}
		}
	}
	none(w.checks, "nobody has a token who does not call the API server", token)
	none(w.checks, "no Secret is in an environment", secret)
	none(w.checks, "no pod gets the addresses of all Services in its environment", links)
	none(w.checks, "every root file system is read-only", root)
	accounts := map[string]int{}
	for _, pod := range pods {
		if name := pod.Spec.ServiceAccountName; name == "default" {
			accounts[pod.Name]++
		}
	}
	w.that(len(accounts) == 0, "no pod uses the default service account", "none", "%v", accounts)
}

// tokens are the volumes with a token of a service account for the API server in them.
func tokens(volumes []corev1.Volume) []string {
	var found []string
	for _, volume := range volumes {
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if token := source.ServiceAccountToken; token != nil && token.Audience == "" {
				found = append(found, volume.Name)
			}
		}
	}
	return found
}

// warnings are the events of a reason.
func (w *world) warnings(ctx context.Context, namespace, reason string) ([]string, error) {
	events, err := w.cluster.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
	if err != nil {
		return nil, err
	}
	var found []string
	for _, event := range events.Items {
		found = append(found, event.InvolvedObject.Name+": "+event.Message)
	}
	return found, nil
}

// clusterScoped leaves out what the test and the cluster make outside of namespaces.
func clusterScoped(objects []string) []string {
	return slices.DeleteFunc(slices.Clone(objects), func(name string) bool {
		return strings.HasPrefix(name, "PersistentVolume/") || strings.HasPrefix(name, "CSINode/") || strings.HasPrefix(name, "IPAddress/")
	})
}

// helmTest runs the chart's own tests, which ask whether something was delivered.
func helmTest(ctx context.Context, w *world) error {
	said, err := w.first.test(ctx, 3*time.Minute)
	w.that(err == nil, "helm test finds that samples are delivered", "no error", "%v", err)
	w.matches("it says so", `Phase:\s+Succeeded`, said)
	return nil
}

// decoys checks that nothing was asked of the namespace beside the runner's, where everything looks the same.
func decoys(ctx context.Context, w *world) error {
	pods, err := w.cluster.pods(ctx, decoyNamespace, "")
	if err != nil {
		return err
	}
	running := 0
	var asked []string
	for _, pod := range pods {
		if pod.Status.Phase == corev1.PodRunning {
			running++
		}
		answer, err := w.standIns.ask(ctx, pod)
		if err != nil {
			return fmt.Errorf("the decoy %s: %w", pod.Name, err)
		}
		for path, n := range answer.Requests {
			if path != controlPath && n > 0 {
				asked = append(asked, fmt.Sprintf("%s %s %d times", pod.Name, path, n))
			}
		}
	}
	w.equal("the decoys run, with the runner's labels, annotations and ports", len(decoyComponents), running)
	none(w.checks, "no decoy was ever asked for anything", asked)
	var stored []string
	for series, err := range w.service.Store().Series(ctx, 0, time.Now().UnixMilli()) {
		if err != nil {
			return err
		}
		if strings.Contains(series.Labels.String(), decoyNamespace) {
			stored = append(stored, series.Labels.String())
		}
	}
	none(w.checks, "no stored series has anything of the decoys", stored)
	return nil
}

// expressions checks that what dashboards and alerts ask for is there.
func expressions(ctx context.Context, w *world) error {
	all := contract()
	w.eventually(ctx, fmt.Sprintf("every one of %d expressions of the contract returns data", len(all)), 90*time.Second, "none without", func(ctx context.Context) (bool, string, error) {
		missing, err := w.unanswered(ctx, w.first, all)
		return len(missing) == 0, "without: " + strings.Join(missing, ", "), err
	})
	for _, part := range health() {
		w.eventually(ctx, part.name+" has a value", time.Minute, "between 0 and 100", func(ctx context.Context) (bool, string, error) {
			v, err := w.number(ctx, w.first, part.text)
			return v >= 0 && v <= 100.001, fmt.Sprintf("%.1f", v), err
		})
	}
	return nil
}
