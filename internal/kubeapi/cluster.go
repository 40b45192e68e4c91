// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// maxPods is how many pods a cluster can have: their addresses have to fit, and so has all of it in memory.
	maxPods = 20_000
	// maxExpanded is how much the pods of workloads may come to, in bytes of JSON: template times replicas.
	maxExpanded = 256 << 20
	// maxEndpoints is how many endpoints services may have in all: services times pods grows fast.
	maxEndpoints = 200_000
)

// Options are what manifests do not say.
type Options struct {
	// Namespace is where objects without a namespace go, and what the Role that Cluster falls back to is for; "" is default.
	Namespace string
	// ServiceAccount is who asks, in Namespace; "" is nobody that the manifests know, who has the runner's Role.
	ServiceAccount string
}

// Cluster is what a cluster has after objects were applied to it. It never changes, and is safe for concurrent use.
type Cluster struct {
	options Options
	entries map[key]entry
	ignored map[string]int
}

type key struct {
	kind            *kind
	namespace, name string
}

func (k key) String() string {
	if k.namespace == "" {
		return strings.ToLower(k.kind.name) + "/" + k.name
	}
	return strings.ToLower(k.kind.name) + "/" + k.namespace + "/" + k.name
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.kind.name, b.kind.name), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

type entry struct {
	object
	size    int  // bytes of JSON in the manifest
	derived bool // made from services and pods, anew for each cluster
}

// NewCluster applies objects to an empty cluster and fills in what the package comment says. The objects are not changed and can
// be used again. It fails when the cluster would get too large.
func NewCluster(objects []Object, options Options) (*Cluster, error) {
	options.Namespace = cmp.Or(options.Namespace, metav1.NamespaceDefault)
	return (&Cluster{options: options}).With(objects)
}

// With returns a cluster to which objects were applied as well. An object of the same kind and name is replaced, and with a
// workload its pods; all others stay as they are, with their names and addresses.
func (c *Cluster) With(objects []Object) (*Cluster, error) {
	next := c.copy()
	added := make([]key, len(objects))
	values := make([]object, len(objects))
	for i := range objects {
		o := &objects[i]
		if o.value == nil {
			next.ignored[o.APIVersion+" "+o.Kind]++
			continue
		}
		values[i], _ = o.value.DeepCopyObject().(object) // it was one
		if values[i].GetNamespace() == "" && !o.kind.cluster {
			values[i].SetNamespace(next.options.Namespace)
		}
		added[i] = key{o.kind, values[i].GetNamespace(), values[i].GetName()}
		if _, replaced := next.entries[added[i]]; replaced && makesPods(o.kind) {
			next.deleteDependents(added[i])
		}
	}
	for i, value := range values {
		if value != nil {
			next.put(added[i], entry{object: value, size: objects[i].size})
		}
	}
	if err := next.fill(added); err != nil {
		return nil, err
	}
	return next.settled()
}

func makesPods(k *kind) bool {
	return slices.Contains([]string{"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"}, k.name)
}

// Without returns a cluster from which objects were deleted, and what they own: with a Deployment its pods. Each name is like
// pod/tool-manager-0, or pod/NAMESPACE/NAME outside of Options.Namespace; the last part may have `*` and `?`. A name that
// nothing has is an error.
func (c *Cluster) Without(names ...string) (*Cluster, error) {
	next := c.copy()
	for _, name := range names {
		keys, err := next.find(name)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			next.delete(k)
		}
	}
	return next.settled()
}

// settled returns the cluster with what is made from services and pods.
func (c *Cluster) settled() (*Cluster, error) {
	if err := c.deriveEndpoints(); err != nil {
		return nil, err
	}
	return c, nil
}

// copy returns a cluster with the same objects, which are shared: none is changed after it was filled in.
func (c *Cluster) copy() *Cluster {
	next := &Cluster{options: c.options, entries: make(map[key]entry, len(c.entries)), ignored: maps.Clone(c.ignored)}
	if next.ignored == nil {
		next.ignored = map[string]int{}
	}
	for k, e := range c.entries {
		if !e.derived {
			next.entries[k] = e
		}
	}
	return next
}

// Ignored counts the objects that were applied and of which nothing is left, by API version and kind: "v1 ConfigMap".
func (c *Cluster) Ignored() map[string]int { return maps.Clone(c.ignored) }

// Pods returns all pods in the order of their namespaces and names. They must not be changed.
func (c *Cluster) Pods() []*corev1.Pod { return all[*corev1.Pod](c, "Pod") }

// Discoverable is how many objects of a role's own resource the cluster has in namespaces, or in all when there are none: what
// a kubernetes_sd of that role sends target groups for. Role is Prometheus's: pod, service, endpoints, endpointslice, ingress, node.
// Selectors are those of selectors[] for the role itself, "" for none.
func (c *Cluster) Discoverable(role string, namespaces []string, labelSelector, fieldSelector string) (int, error) {
	kind := kindNamed(role)
	if kind == nil || !kind.served {
		return 0, fmt.Errorf("there is no role %q: use pod, service, endpoints, endpointslice, ingress or node", role)
	}
	if len(namespaces) == 0 || kind.cluster {
		namespaces = []string{metav1.NamespaceAll}
	}
	count := 0
	for _, namespace := range namespaces {
		selected, err := c.list(kind, namespace, labelSelector, fieldSelector)
		if err != nil {
			return 0, err
		}
		count += len(selected)
	}
	return count, nil
}

// keys returns the keys of a kind in order.
func (c *Cluster) keys(kindName string) []key {
	var keys []key
	for k := range c.entries {
		if k.kind.name == kindName {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

// all returns the objects of a kind in order.
func all[T object](c *Cluster, kindName string) []T {
	keys := c.keys(kindName)
	objects := make([]T, len(keys))
	for i, k := range keys {
		objects[i], _ = c.entries[k].object.(T) // the kind makes it one
	}
	return objects
}

func (c *Cluster) put(k key, e entry) {
	if e.GetUID() == "" {
		e.SetUID(types.UID(uuid.NewSHA1(uuid.Nil, []byte(k.String())).String()))
	}
	if e.GetResourceVersion() == "" {
		e.SetResourceVersion("1")
	}
	c.entries[k] = e
}

func (c *Cluster) delete(k key) {
	if _, exists := c.entries[k]; !exists {
		return
	}
	delete(c.entries, k)
	c.deleteDependents(k)
	if k.kind.name == "Pod" {
		c.forgetEndpoint(k)
	}
}

// deleteDependents deletes what an object owns; and all that is in a namespace, or belongs to a service by name.
func (c *Cluster) deleteDependents(owner key) {
	for k, e := range c.entries {
		switch {
		case k.namespace == owner.namespace && ownedBy(e, owner):
			c.delete(k)
		case owner.kind.name == "Namespace" && k.namespace == owner.name && k.namespace != "":
			if _, exists := c.entries[owner]; !exists {
				c.delete(k)
			}
		case owner.kind.name == "Service" && k.namespace == owner.namespace && serviceOf(k, e) == owner.name:
			delete(c.entries, k)
		}
	}
}

func ownedBy(o metav1.Object, owner key) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool {
		return r.Kind == owner.kind.name && r.Name == owner.name
	})
}

// find returns what a name like pod/tool-manager-* stands for.
func (c *Cluster) find(name string) ([]key, error) {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, fmt.Errorf("%q is no name of an object: use one such as pod/tool-manager-0 or pod/NAMESPACE/NAME", name)
	}
	kind := kindNamed(parts[0])
	if kind == nil {
		return nil, fmt.Errorf("%q: there is no kind %q here: use pod, service or deployment, for example", name, parts[0])
	}
	namespace, pattern := c.options.Namespace, parts[len(parts)-1]
	if len(parts) == 3 {
		namespace = parts[1]
	}
	if kind.cluster {
		namespace = ""
	}
	var found []key
	var others []string
	for _, k := range c.keys(kind.name) {
		matches, err := path.Match(pattern, k.name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q: %w", name, err)
		case k.namespace == namespace && matches:
			found = append(found, k)
		default:
			others = append(others, k.String())
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no %s in namespace %q: there are %s", name, namespace, some(others))
	}
	return found, nil
}

// some lists names in a sentence, not too many.
func some(names []string) string {
	const limit = 10
	if len(names) == 0 {
		return "none"
	}
	if len(names) > limit {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], ", "), len(names)-limit)
	}
	return strings.Join(names, ", ")
}
