// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// parseLabels returns what a label selector selects.
func parseLabels(selector string) (func(object) bool, error) {
	parsed, err := labels.Parse(selector)
	if err != nil {
		return nil, err
	}
	return func(o object) bool { return parsed.Empty() || parsed.Matches(labels.Set(o.GetLabels())) }, nil
}

// fieldsOf returns the fields that a field selector can select by: those of the kinds' strategies in kube-apiserver.
func fieldsOf(o object) fields.Set {
	set := fields.Set{"metadata.name": o.GetName()}
	switch o := o.(type) {
	case *corev1.Node:
		set["spec.unschedulable"] = strconv.FormatBool(o.Spec.Unschedulable)
		return set
	case *corev1.Namespace:
		set["name"] = o.Name
		set["status.phase"] = string(o.Status.Phase)
		return set
	case *corev1.Pod:
		set["spec.nodeName"] = o.Spec.NodeName
		set["spec.restartPolicy"] = string(o.Spec.RestartPolicy)
		set["spec.schedulerName"] = o.Spec.SchedulerName
		set["spec.serviceAccountName"] = o.Spec.ServiceAccountName
		set["spec.hostNetwork"] = strconv.FormatBool(o.Spec.HostNetwork)
		set["status.phase"] = string(o.Status.Phase)
		set["status.podIP"] = o.Status.PodIP
		set["status.nominatedNodeName"] = o.Status.NominatedNodeName
	case *corev1.Service:
		set["spec.clusterIP"] = o.Spec.ClusterIP
		set["spec.type"] = string(o.Spec.Type)
	case *appsv1.ReplicaSet:
		set["status.replicas"] = strconv.Itoa(int(o.Status.Replicas))
	case *batchv1.Job:
		set["status.successful"] = strconv.Itoa(int(o.Status.Succeeded))
	}
	set["metadata.namespace"] = o.GetNamespace()
	return set
}
