// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// missingRight is what the log has to say, with quotes as JSON has them or as they are.
var missingRight = regexp.MustCompile(`(?m)^.*cannot list resource \\?"pods\\?" in API group \\?"\\?" in the namespace \\?"` + firstNamespace + `.*$`)

// rights takes the right to pods from the collector's Role, and starts it again. What a customer sees who has edited the Role
// is a log that names the right, targets that are gone, and others that go on; and it mends itself.
func rights(ctx context.Context, w *world) error {
	roles := w.cluster.RbacV1().Roles(w.first.namespace)
	role, err := roles.Get(ctx, w.first.collectorSet(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	whole := role.DeepCopy()
	role.Rules = withoutResource(role.Rules, "pods")
	w.expectForbidden(w.first.namespace, time.Now())
	if _, err := roles.Update(ctx, role, metav1.UpdateOptions{}); err != nil {
		return err
	}
	before, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	if err := w.cluster.CoreV1().Pods(w.first.namespace).Delete(ctx, before.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := w.cluster.awaitGone(ctx, w.first.namespace, before.Name, before.UID, time.Minute); err != nil {
		return err
	}
	w.settles(ctx, w.first, "a collector without the right to pods is ready all the same: what is left is worth having")
	started := time.Now()
	w.eventually(ctx, "its log says which right is missing, and where", time.Minute, `cannot list resource "pods" in the namespace`, func(ctx context.Context) (bool, string, error) {
		text, err := w.cluster.logs(ctx, w.first.namespace, before.Name, collectorContainer, false)
		line := missingRight.FindString(text)
		return line != "", tail(line, 300), err
	})
	w.eventually(ctx, "targets that need no pods go on", time.Minute, "a fresh up of the collector's own and of every probe", func(ctx context.Context) (bool, string, error) {
		stale, err := w.stale(ctx, w.first, started)
		if err != nil {
			return false, "", err
		}
		stale = slices.DeleteFunc(stale, func(name string) bool {
			return !strings.HasPrefix(name, "probe of") && !strings.HasPrefix(name, w.first.collectorSet())
		})
		return len(stale) == 0, strings.Join(stale, ", "), nil
	})
	missing, err := w.stale(ctx, w.first, started)
	if err != nil {
		return err
	}
	w.that(slices.Contains(missing, "kube-state-metrics"), "targets that are found as pods are gone", "kube-state-metrics among them", "%v", missing)

	current, err := roles.Get(ctx, w.first.collectorSet(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	current.Rules = whole.Rules
	if _, err := roles.Update(ctx, current, metav1.UpdateOptions{}); err != nil {
		return err
	}
	restored := time.Now()
	w.delivers(ctx, w.first, "with the right back every target is found, without a restart", restored)
	w.expectNoneForbidden(w.first.namespace, time.Now())
	after, err := w.collector(ctx, w.first)
	if err != nil {
		return err
	}
	w.equal("the collector was not restarted for it", 0, restartsOf(after))
	return nil
}

// withoutResource takes one resource out of rules.
func withoutResource(rules []rbacv1.PolicyRule, resource string) []rbacv1.PolicyRule {
	var left []rbacv1.PolicyRule
	for _, rule := range rules {
		rule.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(r string) bool { return r == resource })
		if len(rule.Resources) > 0 {
			left = append(left, rule)
		}
	}
	return left
}
