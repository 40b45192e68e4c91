// SPDX-License-Identifier: Apache-2.0

// Package kubeapi is a Kubernetes API server in the process, fed with manifests, for clients that list and watch. Service
// discovery that runs against it finds what it would find in a cluster to which the manifests were applied a while ago.
//
// # What is served
//
// Pods, services, endpoints, endpointslices, ingresses, nodes, namespaces, replicasets, deployments, statefulsets, daemonsets,
// jobs and cronjobs: get, list and watch, in JSON or protobuf, with label and field selectors. Nothing changes while a Server
// serves: a watch reports what there is and then nothing. Objects of other kinds are left out, and so are those of an API
// version that is not the current one, and what carries the annotation helm.sh/hook (a chart's tests and jobs before and after
// an installation) without having a uid: those are not there a while later. Cluster.Ignored counts them.
//
// # What the cluster fills in
//
// What a manifest says is kept as it is. What it leaves to the cluster is filled in by these rules, always in the same way:
//
//   - Objects without a namespace are in Options.Namespace. Of two objects of one kind and name, the later one counts. Every
//     object has a uid. Every namespace that is mentioned exists, with the label kubernetes.io/metadata.name.
//   - Nodes: those of the manifests and those that a pod names. A cluster without any node gets one, node-1.
//     Pods without a node go to the nodes in turn. Node selectors, affinities, taints and resources are not looked at.
//   - A workload gets pods, unless the manifests have its pods already: a Deployment through a ReplicaSet, NAME-HASH-SUFFIX,
//     with the label pod-template-hash; a StatefulSet NAME-0 and on; a DaemonSet one for each node; a Job one for each of its
//     parallelism, and none when it is suspended. A CronJob gets nothing: what it starts are Jobs. HASH and SUFFIX come from the
//     template and the name, so that they stay. Workloads and pods own each other as in a cluster (ownerReferences).
//   - A pod without a phase runs and is ready: phase Running, condition Ready, an address, and its containers run. What its status
//     does say is kept: with a condition Ready that is False it runs without being ready. The pod of a Job that is complete
//     (or has failed) is Succeeded (or Failed). A pod whose phase is Succeeded or Failed has an address as well, which is what
//     a cluster shows of a pod that has ended; a Pending one has only what its manifest says.
//   - Pod addresses are 10.244.0.0/16's, by name, and none is given twice; with hostNetwork it is the node's. Nodes have
//     10.0.0.0/16's, services 10.96.0.0/16's.
//   - Ports without a protocol are TCP; a Service without a type is a ClusterIP, and its ports have a targetPort.
//   - A Service with a selector gets EndpointSlices and Endpoints of the pods that it selects, as kube-controller-manager makes
//     them: named ports looked up in each pod, the conditions ready, serving and terminating, a targetRef to the pod. One whose
//     slices (or Endpoints) are in the manifests keeps those. Endpoints of a Service without a selector are mirrored as slices.
//
// # Who may ask what
//
// Requests are those of one service account. It may do what the Roles and ClusterRoles that are bound to it in the manifests
// allow. When none is bound to it, it has the runner's Role: get, list and watch on pods, services and endpointslices in
// Options.Namespace. The ClusterRoles view, edit, admin and cluster-admin exist as in every cluster, as far as reading what is
// served goes. A request that is not allowed is answered as kube-apiserver does, and Server.Forbidden says what is missing.
package kubeapi
