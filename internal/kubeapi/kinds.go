// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// object is what every type of k8s.io/api is.
type object interface {
	metav1.Object
	runtime.Object
}

// kind is one kind of object that a cluster knows.
type kind struct {
	schema.GroupVersion
	name     string // as manifests have it: Pod
	resource string // as paths and Roles have it: pods
	cluster  bool   // objects belong to no namespace
	served   bool   // can be listed; Roles are only read by this package
	make     func() object
	makeList func() runtime.Object
}

// kinds are all kinds that matter here; manifests can have others.
var kinds = []kind{
	{corev1.SchemeGroupVersion, "Pod", "pods", false, true, func() object { return &corev1.Pod{} }, func() runtime.Object { return &corev1.PodList{} }},
	{corev1.SchemeGroupVersion, "Service", "services", false, true, func() object { return &corev1.Service{} }, func() runtime.Object { return &corev1.ServiceList{} }},
	{corev1.SchemeGroupVersion, "Endpoints", "endpoints", false, true, func() object { return &corev1.Endpoints{} }, func() runtime.Object { return &corev1.EndpointsList{} }}, //nolint:staticcheck // deprecated, and still what role endpoints reads
	{corev1.SchemeGroupVersion, "Node", "nodes", true, true, func() object { return &corev1.Node{} }, func() runtime.Object { return &corev1.NodeList{} }},
	{corev1.SchemeGroupVersion, "Namespace", "namespaces", true, true, func() object { return &corev1.Namespace{} }, func() runtime.Object { return &corev1.NamespaceList{} }},
	{discoveryv1.SchemeGroupVersion, "EndpointSlice", "endpointslices", false, true, func() object { return &discoveryv1.EndpointSlice{} }, func() runtime.Object { return &discoveryv1.EndpointSliceList{} }},
	{networkingv1.SchemeGroupVersion, "Ingress", "ingresses", false, true, func() object { return &networkingv1.Ingress{} }, func() runtime.Object { return &networkingv1.IngressList{} }},
	{appsv1.SchemeGroupVersion, "Deployment", "deployments", false, true, func() object { return &appsv1.Deployment{} }, func() runtime.Object { return &appsv1.DeploymentList{} }},
	{appsv1.SchemeGroupVersion, "ReplicaSet", "replicasets", false, true, func() object { return &appsv1.ReplicaSet{} }, func() runtime.Object { return &appsv1.ReplicaSetList{} }},
	{appsv1.SchemeGroupVersion, "StatefulSet", "statefulsets", false, true, func() object { return &appsv1.StatefulSet{} }, func() runtime.Object { return &appsv1.StatefulSetList{} }},
	{appsv1.SchemeGroupVersion, "DaemonSet", "daemonsets", false, true, func() object { return &appsv1.DaemonSet{} }, func() runtime.Object { return &appsv1.DaemonSetList{} }},
	{batchv1.SchemeGroupVersion, "Job", "jobs", false, true, func() object { return &batchv1.Job{} }, func() runtime.Object { return &batchv1.JobList{} }},
	{batchv1.SchemeGroupVersion, "CronJob", "cronjobs", false, true, func() object { return &batchv1.CronJob{} }, func() runtime.Object { return &batchv1.CronJobList{} }},
	{rbacv1.SchemeGroupVersion, "Role", "roles", false, false, func() object { return &rbacv1.Role{} }, nil},
	{rbacv1.SchemeGroupVersion, "RoleBinding", "rolebindings", false, false, func() object { return &rbacv1.RoleBinding{} }, nil},
	{rbacv1.SchemeGroupVersion, "ClusterRole", "clusterroles", true, false, func() object { return &rbacv1.ClusterRole{} }, nil},
	{rbacv1.SchemeGroupVersion, "ClusterRoleBinding", "clusterrolebindings", true, false, func() object { return &rbacv1.ClusterRoleBinding{} }, nil},
}

// kindOf returns nil for a kind that does not matter here.
func kindOf(apiVersion, name string) *kind {
	for i := range kinds {
		if k := &kinds[i]; k.name == name && k.String() == apiVersion {
			return k
		}
	}
	return nil
}

// kindNamed finds a kind by the name of its objects or its resource, in any case: pod, Pod, pods.
func kindNamed(name string) *kind {
	for i := range kinds {
		if k := &kinds[i]; strings.EqualFold(k.name, name) || strings.EqualFold(k.resource, name) {
			return k
		}
	}
	return nil
}
