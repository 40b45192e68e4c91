// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// workload is what makes pods from a template.
type workload struct {
	key
	entry
	template *corev1.PodTemplateSpec
	labels   map[string]string // that the controller adds to those of the template
}

// expand makes the pods of the workloads that were added.
func (f *filler) expand(added []key) error {
	for _, k := range added {
		e, exists := f.entries[k]
		if !exists {
			continue // of a kind that does not matter
		}
		if err := f.expandOne(workload{key: k, entry: e}); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) expandOne(w workload) error {
	switch o := w.object.(type) {
	case *appsv1.Deployment:
		return f.deployment(w, o)
	case *appsv1.ReplicaSet:
		w.template = &o.Spec.Template
		return f.replicas(w, replicas(o.Spec.Replicas), func(i int) string { return generatedName(w.name, i) })
	case *appsv1.StatefulSet:
		return f.statefulSet(w, o)
	case *appsv1.DaemonSet:
		w.template, w.labels = &o.Spec.Template, map[string]string{
			appsv1.ControllerRevisionHashLabelKey: templateHash(&o.Spec.Template),
			"pod-template-generation":             "1",
		}
		return f.daemonSet(w)
	case *batchv1.Job:
		uid := string(o.UID)
		w.template, w.labels = &o.Spec.Template, map[string]string{
			batchv1.JobNameLabel: w.name, "job-name": w.name, batchv1.ControllerUidLabel: uid, "controller-uid": uid,
		}
		n := replicas(o.Spec.Parallelism)
		if o.Spec.Completions != nil {
			n = min(n, int(*o.Spec.Completions))
		}
		if o.Spec.Suspend != nil && *o.Spec.Suspend {
			n = 0
		}
		return f.replicas(w, n, func(i int) string { return generatedName(w.name, i) })
	default:
		return nil
	}
}

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// deployment makes the ReplicaSet of a Deployment, which makes the pods.
func (f *filler) deployment(w workload, deployment *appsv1.Deployment) error {
	if f.owns(w.key, "ReplicaSet") {
		return nil
	}
	hash := templateHash(&deployment.Spec.Template)
	template := deployment.Spec.Template
	template.Labels = with(template.Labels, map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: hash})
	selector := &metav1.LabelSelector{}
	if deployment.Spec.Selector != nil {
		selector = deployment.Spec.Selector.DeepCopy()
	}
	selector.MatchLabels = with(selector.MatchLabels, map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: hash})
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: w.name + "-" + hash, Namespace: w.namespace, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{w.reference()},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: deployment.Spec.Replicas, Selector: selector, Template: template},
	}
	k := key{kindNamed("ReplicaSet"), w.namespace, set.Name}
	if _, exists := f.entries[k]; exists {
		return nil // the manifests have one of this name, which belongs to nobody
	}
	f.put(k, entry{object: set, size: w.size})
	return f.expandOne(workload{key: k, entry: f.entries[k]})
}

func (f *filler) statefulSet(w workload, set *appsv1.StatefulSet) error {
	w.template, w.labels = &set.Spec.Template, map[string]string{
		appsv1.ControllerRevisionHashLabelKey: w.name + "-" + templateHash(&set.Spec.Template),
	}
	start := 0
	if set.Spec.Ordinals != nil {
		start = int(set.Spec.Ordinals.Start)
	}
	return f.replicas(w, replicas(set.Spec.Replicas), func(i int) string { return w.name + "-" + strconv.Itoa(start+i) })
}

// daemonSet makes a pod for each node.
func (f *filler) daemonSet(w workload) error {
	if f.owns(w.key, "Pod") {
		return nil
	}
	f.addNodes()
	return f.replicas(w, len(f.nodes), func(i int) string { return generatedName(w.name, i) })
}

// replicas makes n pods, unless the manifests have pods of this workload.
func (f *filler) replicas(w workload, n int, name func(i int) string) error {
	if f.owns(w.key, "Pod") {
		return nil
	}
	if f.made += max(n, 0); f.made > maxPods {
		return fmt.Errorf("%s would make it more than %d pods: at most so many are taken; write fewer replicas", w.key, maxPods)
	}
	if f.expanded += n * w.size; f.expanded > maxExpanded {
		return fmt.Errorf("%s with %d replicas of %d KiB would make more than %d MiB of pods: write fewer replicas, or leave out what is long in the template",
			w.key, n, w.size>>10, maxExpanded>>20)
	}
	portDefaults(&w.template.Spec)
	for i := range n {
		pod := f.replica(w, name(i), i)
		k := key{kindNamed("Pod"), w.namespace, pod.Name}
		if _, exists := f.entries[k]; exists {
			continue // the manifests have a pod of this name, as one that was recorded alone
		}
		f.put(k, entry{object: pod, size: w.size})
		f.fresh[k] = true
	}
	return nil
}

func (f *filler) replica(w workload, name string, i int) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: w.namespace,
			Labels: with(w.template.Labels, w.labels), Annotations: w.template.Annotations,
			OwnerReferences: []metav1.OwnerReference{w.reference()},
		},
		Spec: w.template.Spec, // what it points to is shared by all replicas, and not changed any more
	}
	switch o := w.object.(type) {
	case *appsv1.StatefulSet:
		pod.Labels["statefulset.kubernetes.io/pod-name"] = name
		pod.Labels["apps.kubernetes.io/pod-index"] = name[len(w.name)+1:]
		pod.Spec.Hostname, pod.Spec.Subdomain = name, o.Spec.ServiceName
	case *appsv1.DaemonSet:
		pod.Spec.NodeName = f.nodes[i].Name
	case *batchv1.Job:
		pod.Status.Phase = jobPhase(o)
	}
	return pod
}

// owns says whether an object has another of a kind that it controls.
func (f *filler) owns(owner key, kindName string) bool {
	return f.owners[ownerKey{owner.kind.name, owner.namespace, owner.name, kindName}]
}

// ownerKey is an owner's kind, namespace and name, and the kind of what it owns.
type ownerKey struct{ kind, namespace, name, owned string }

// findOwners notes who controls what there is.
func (f *filler) findOwners() {
	f.owners = map[ownerKey]bool{}
	for k, e := range f.entries {
		if controller := metav1.GetControllerOfNoCopy(e); controller != nil {
			f.owners[ownerKey{controller.Kind, k.namespace, controller.Name, k.kind.name}] = true
		}
	}
}

func (w workload) reference() metav1.OwnerReference {
	yes := true
	return metav1.OwnerReference{
		APIVersion: w.kind.String(), Kind: w.kind.name, Name: w.name, UID: w.GetUID(), Controller: &yes, BlockOwnerDeletion: &yes,
	}
}

// with returns labels and more labels.
func with(labels, more map[string]string) map[string]string {
	sum := make(map[string]string, len(labels)+len(more))
	maps.Copy(sum, labels)
	maps.Copy(sum, more)
	return sum
}

// templateHash is for names what the deployment controller has, of the same look; the value is another.
func templateHash(template *corev1.PodTemplateSpec) string {
	text, err := json.Marshal(template)
	if err != nil {
		panic(err) // it came from JSON
	}
	h := fnv.New32a()
	_, _ = h.Write(text) // never fails
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// generatedName is what the API server makes of a generateName: the base cut to 58 characters, and five more.
func generatedName(base string, i int) string {
	const (
		maxBase  = 58
		alphabet = "bcdfghjklmnpqrstvwxz2456789"
		length   = 5
	)
	h := fnv.New32a()
	_, _ = h.Write([]byte(base)) // never fails
	// Multiplied by a number that shares no factor with 27^5, distinct i give distinct names.
	n := (uint64(h.Sum32()) + uint64(i)*7_368_787) % (27 * 27 * 27 * 27 * 27) //nolint:gosec // i is an index
	suffix := make([]byte, length)
	for j := range suffix {
		suffix[j] = alphabet[n%27]
		n /= 27
	}
	if base += "-"; len(base) > maxBase {
		base = base[:maxBase]
	}
	return base + string(suffix)
}
