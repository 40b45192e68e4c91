// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubiyabot/otelcol-runner/test/e2e/internal/node"
)

const namespace = "smoke"

// look does what the end-to-end tests do, once each.
func look(ctx context.Context, n *node.Node, say func(string)) error {
	if err := n.LoadComponents(ctx, ".", io.Discard); err != nil {
		return err
	}
	say("the images are loaded")
	if err := n.AddVolumes(ctx, 1); err != nil {
		return err
	}
	if err := prepare(ctx, n); err != nil {
		return err
	}
	server, err := runningPod(ctx, n, serverPod())
	if err != nil {
		return err
	}
	say("a pod runs under Pod Security restricted, on a volume")
	if err := scrape(ctx, http.DefaultTransport, server.Status.PodIP); err != nil {
		return err
	}
	say("this machine reaches it")
	if err := finished(ctx, n, clientPod()); err != nil {
		return err
	}
	say("another pod reaches it by its Service's name, and writes to the volume")
	if _, err := n.Client.CoreV1().Pods(namespace).GetLogs(server.Name, &corev1.PodLogOptions{}).DoRaw(ctx); err != nil {
		return fmt.Errorf("the log of the pod %s: %w", server.Name, err)
	}
	say("its log can be read")
	if err := killed(ctx, n, server.Name); err != nil {
		return err
	}
	say("killed, it is started again")
	if err := refused(ctx, n); err != nil {
		return err
	}
	say("a privileged pod is refused")
	if err := audited(n, say); err != nil {
		return err
	}
	if err := isolated(ctx, n, server.Status.PodIP); err != nil {
		return err
	}
	say("a NetworkPolicy is enforced, and the node itself still reaches the pod")
	return nil
}

func prepare(ctx context.Context, n *node.Node) error {
	_, err := n.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = n.Client.CoreV1().Services(namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "agent-manager"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "agent-manager"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = n.Client.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		_, err := n.Client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// restricted is a pod of one container as Pod Security's restricted level allows it, with the volume at /data.
func restricted(name string, container corev1.Container) *corev1.Pod {
	yes, no, user := true, false, int64(65532)
	container.Name = name
	container.ImagePullPolicy = corev1.PullNever
	container.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	container.SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: &no,
			Containers:                   []corev1.Container{container},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
			}}},
		},
	}
}

func serverPod() *corev1.Pod {
	return restricted("agent-manager", corev1.Container{
		Image: "ghcr.io/kubiyabot/agent-manager:v0.5.1",
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}},
			PeriodSeconds: 1,
		},
	})
}

func clientPod() *corev1.Pod {
	// kubectl, because it resolves names as other Go programs do. Debian's static busybox cannot without a C library.
	pod := restricted("client", corev1.Container{
		Image:   "ghcr.io/kubiyabot/kubernetes:1.32.0",
		Command: []string{"sh", "-c", "kubectl --server=http://agent-manager." + namespace + ".svc get --raw /metrics >/data/page"},
	})
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	return pod
}

// runningPod makes a pod and waits until it is ready.
func runningPod(ctx context.Context, n *node.Node, pod *corev1.Pod) (*corev1.Pod, error) {
	if _, err := n.Client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	var now *corev1.Pod
	return now, eventually(ctx, func(ctx context.Context) (err error) {
		now, err = n.Client.CoreV1().Pods(namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range now.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("the pod %s is not ready: %+v", pod.Name, now.Status)
	})
}

// finished makes a pod and waits until it has ended well.
func finished(ctx context.Context, n *node.Node, pod *corev1.Pod) error {
	if _, err := n.Client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		now, err := n.Client.CoreV1().Pods(namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if now.Status.Phase != corev1.PodSucceeded {
			return fmt.Errorf("the pod %s has not ended well: %s, %+v", pod.Name, now.Status.Phase, now.Status.ContainerStatuses)
		}
		return nil
	})
}

func scrape(ctx context.Context, via http.RoundTripper, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+":8080/metrics", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Timeout: 5 * time.Second, Transport: via}).Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(page), "agent_manager_http_requests_total") {
		return fmt.Errorf("/metrics of agent-manager is not what it should be: %.300q", page)
	}
	return nil
}

// killed kills a pod's container, and waits until it runs again.
func killed(ctx context.Context, n *node.Node, pod string) error {
	if err := n.Kill(ctx, namespace, pod, pod); err != nil {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		now, err := n.Client.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
		if err != nil {
			return err
		}
		status := now.Status.ContainerStatuses[0]
		last := status.LastTerminationState.Terminated
		if status.RestartCount != 1 || last == nil || last.ExitCode != 137 || status.State.Running == nil {
			return fmt.Errorf("the container was not killed and started again: %+v", status)
		}
		return nil
	})
}

// refused makes sure that Pod Security is enforced.
func refused(ctx context.Context, n *node.Node) error {
	pod := serverPod()
	pod.Name = "privileged"
	yes := true
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
	_, err := n.Client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err == nil {
		return errors.New("a privileged pod was admitted, and Pod Security should have refused it")
	}
	if !strings.Contains(err.Error(), `violates PodSecurity "restricted:latest"`) {
		return fmt.Errorf("a privileged pod was refused, and not by Pod Security: %w", err)
	}
	return nil
}

// audited makes sure that what was just refused is in the audit log.
func audited(n *node.Node, say func(string)) error {
	requests, err := n.Requests()
	if err != nil {
		return err
	}
	for _, r := range requests {
		if r.User == "admin" && r.Verb == "create" && r.Resource == "pods" && r.Namespace == namespace && r.Code == http.StatusForbidden {
			say(fmt.Sprintf("the refusal is among the %d requests of the audit log", len(requests)))
			return nil
		}
	}
	return fmt.Errorf("the audit log does not have the refused pod among its %d requests", len(requests))
}

// isolated makes sure that a pod that admits nobody is reached by nobody but the node.
func isolated(ctx context.Context, n *node.Node, address string) error {
	if err := n.EnforceNetworkPolicies(ctx, os.Stderr); err != nil {
		return err
	}
	_, err := n.Client.NetworkingV1().NetworkPolicies(namespace).Create(ctx, &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "nobody"},
		Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	closed := eventually(ctx, func(ctx context.Context) error {
		if err := scrape(ctx, &http.Transport{DisableKeepAlives: true}, address); err == nil {
			return errors.New("a pod that admits nobody still answers this machine")
		}
		return nil
	})
	return errors.Join(closed, scrape(ctx, &http.Transport{DialContext: n.Dial}, address))
}

// eventually tries for a minute, and says what the last try did.
func eventually(ctx context.Context, try func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return nil
}
