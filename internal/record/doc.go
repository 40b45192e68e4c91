// SPDX-License-Identifier: Apache-2.0

// Package record makes a scene from what there is: the objects of a namespace, and the pages that its targets answer, once or
// several times. It only reads, and needs no more than the runner's Role: get, list and watch on pods, services and endpointslices.
//
// # What is written
//
// A folder with scene.yaml, manifests.yaml, and the pages in pages/. Later samples are steps of the scene, with what has changed.
//
// Objects are stripped to what service discovery reads: names, labels, annotations, owners, ports, images, addresses, phases and
// conditions. Environment variables, volumes, arguments, probes and everything else of a spec is not written, and neither are
// annotations that are long (maxAnnotation) or hold a whole object (last-applied-configuration).
//
// Pages are asked for in the text formats, which a person can read before passing them on. Native histograms only exist in
// protobuf and are not recorded.
//
// # What is never written
//
// What looks like a secret or an e-mail address (package secrets), in label values, help texts, comments, exemplars, annotations,
// images: it becomes redacted-KIND-N, where N tells values apart within a recording, so that series stay apart as well. A page
// whose path looks like a secret is left out.
//
// # What anonymising does
//
// Values become others that say nothing of them, and behave alike: a counter grows when it grew and starts again when it did; a
// histogram's buckets, sum and count agree; the quantiles of a summary are in order; a gauge changes when it changed. 0, 1, NaN
// and the infinities stay, since they are states rather than quantities, and so do timestamps. Exemplars are left out. The new
// values depend on nothing but the target, the name and the labels of a series and how often it changed.
package record
