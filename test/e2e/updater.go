// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// updatedComponent is the one workload on the list of the image updater.
const updatedComponent = "workflow-engine"

// updater starts the image updater once, as `kubectl create job --from` does it. It changes the workload on its list, and may
// change no other.
func updater(ctx context.Context, w *world) error {
	r := w.first
	name := r.name + "-image-updater"
	schedule, err := w.cluster.BatchV1().CronJobs(r.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = w.cluster.BatchV1().Jobs(r.namespace).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name + "-now", Labels: schedule.Spec.JobTemplate.Labels,
			// With the release it goes as well.
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(schedule, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		},
		Spec: schedule.Spec.JobTemplate.Spec,
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	w.eventually(ctx, "the image updater does its work, without privileges", time.Minute, "1 pod succeeded", func(ctx context.Context) (bool, string, error) {
		job, err := w.cluster.BatchV1().Jobs(r.namespace).Get(ctx, name+"-now", metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return job.Status.Succeeded == 1, fmt.Sprintf("%d succeeded, %d failed", job.Status.Succeeded, job.Status.Failed), nil
	})
	w.settles(ctx, r, "what it changed becomes ready")
	images, err := w.images(ctx, r)
	if err != nil {
		return err
	}
	w.that(strings.HasSuffix(images[updatedComponent], ":"+otherTag), "the workload on its list has the image on its list", "tag "+otherTag, "%s", images[updatedComponent])
	for _, deployment := range []string{"agent-manager", updatedComponent} {
		may, err := w.may(ctx, r.namespace, name, "patch", "deployments", r.name+"-"+deployment)
		if err != nil {
			return err
		}
		w.equal("whether it may patch "+deployment, deployment == updatedComponent, may)
	}
	for _, resource := range []string{"secrets", "pods", "roles"} {
		may, err := w.may(ctx, r.namespace, name, "get", resource, "")
		if err != nil {
			return err
		}
		w.equal("whether it may get "+resource, false, may)
	}
	w.delivers(ctx, r, "every target is delivered after the image updater", began)
	if err := r.upgrade(ctx); err != nil {
		return err
	}
	w.settles(ctx, r, "the next upgrade undoes what the image updater did, as its documentation says")
	return nil
}

// may asks the API server whether a service account may do something.
func (w *world) may(ctx context.Context, namespace, account, verb, resource, name string) (bool, error) {
	group := map[string]string{"deployments": "apps", "roles": "rbac.authorization.k8s.io"}[resource]
	review, err := w.cluster.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + namespace + ":" + account,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: group, Resource: resource, Name: name,
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
