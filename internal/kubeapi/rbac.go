// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// readVerbs are what discovery needs of each resource.
var readVerbs = []string{"get", "list", "watch"}

// runnerRules is the Role of a runner.
var runnerRules = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"pods", "services"}, Verbs: readVerbs},
	{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: readVerbs},
}

// viewRules are what view, edit and admin may read of what is served: everything that is in a namespace, and the namespace itself.
var viewRules = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"pods", "services", "endpoints", "namespaces"}, Verbs: readVerbs},
	{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets", "statefulsets", "daemonsets"}, Verbs: readVerbs},
	{APIGroups: []string{"batch"}, Resources: []string{"jobs", "cronjobs"}, Verbs: readVerbs},
	{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses"}, Verbs: readVerbs},
	{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: readVerbs},
}

// grant is rules in one namespace, or in all.
type grant struct {
	namespace string // "" for all, and for what is in no namespace
	rules     []rbacv1.PolicyRule
}

// user is the name of the service account.
func (c *Cluster) user() string {
	name := c.options.ServiceAccount
	if name == "" {
		name = "runner"
	}
	return "system:serviceaccount:" + c.options.Namespace + ":" + name
}

// grants returns what the service account may do.
func (c *Cluster) grants() []grant {
	var grants []grant
	bound := false
	for _, binding := range all[*rbacv1.RoleBinding](c, "RoleBinding") {
		if c.isSubject(binding.Subjects, binding.Namespace) {
			bound = true
			grants = append(grants, grant{binding.Namespace, c.rules(binding.RoleRef, binding.Namespace)})
		}
	}
	for _, binding := range all[*rbacv1.ClusterRoleBinding](c, "ClusterRoleBinding") {
		if c.isSubject(binding.Subjects, "") {
			bound = true
			grants = append(grants, grant{"", c.rules(binding.RoleRef, "")})
		}
	}
	if !bound {
		return []grant{{c.options.Namespace, runnerRules}}
	}
	return grants
}

func (c *Cluster) isSubject(subjects []rbacv1.Subject, namespace string) bool {
	if c.options.ServiceAccount == "" {
		return false
	}
	return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
		switch s.Kind {
		case rbacv1.ServiceAccountKind:
			in := s.Namespace
			if in == "" {
				in = namespace
			}
			return in == c.options.Namespace && s.Name == c.options.ServiceAccount
		case rbacv1.UserKind:
			return s.Name == c.user()
		case rbacv1.GroupKind:
			return s.Name == "system:serviceaccounts" || s.Name == "system:serviceaccounts:"+c.options.Namespace || s.Name == "system:authenticated"
		default:
			return false
		}
	})
}

// rules returns those of a Role or ClusterRole; a role that does not exist allows nothing.
func (c *Cluster) rules(ref rbacv1.RoleRef, namespace string) []rbacv1.PolicyRule {
	if ref.Kind == "Role" {
		if role, exists := c.entries[key{kindNamed("Role"), namespace, ref.Name}].object.(*rbacv1.Role); exists {
			return role.Rules
		}
		return nil
	}
	role, exists := c.entries[key{kind: kindNamed("ClusterRole"), name: ref.Name}].object.(*rbacv1.ClusterRole)
	if !exists {
		switch ref.Name {
		case "view", "edit", "admin":
			return viewRules
		case "cluster-admin":
			return []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}}
		default:
			return nil
		}
	}
	if role.AggregationRule == nil {
		return role.Rules
	}
	var rules []rbacv1.PolicyRule
	for _, wanted := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&wanted)
		if err != nil {
			continue // a cluster would not have taken it
		}
		for _, other := range all[*rbacv1.ClusterRole](c, "ClusterRole") {
			if selector.Matches(labels.Set(other.Labels)) {
				rules = append(rules, other.Rules...)
			}
		}
	}
	return rules
}

// allows follows k8s.io/kubernetes/pkg/registry/rbac/validation.
func allows(grants []grant, r *Request) bool {
	resource := r.resource()
	return slices.ContainsFunc(grants, func(g grant) bool {
		if g.namespace != "" && g.namespace != r.Namespace {
			return false
		}
		return slices.ContainsFunc(g.rules, func(rule rbacv1.PolicyRule) bool {
			return has(rule.Verbs, r.Verb) && has(rule.APIGroups, r.Group) &&
				(has(rule.Resources, resource) || r.Subresource != "" && slices.Contains(rule.Resources, "*/"+r.Subresource)) &&
				(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, r.Name))
		})
	})
}

func has(list []string, value string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, value)
}

// missing is the rule that would allow a request, and what to do about it; the rule is "" when no Role can have it.
func (c *Cluster) missing(r *Request) (rule, remedy string) {
	group := r.Group
	if group == "" {
		group = `""`
	}
	rule = fmt.Sprintf("- apiGroups: [%s]\n  resources: [%s]\n  verbs: [%s]\n", group, r.resource(), strings.Join(readVerbs, ", "))
	switch {
	case r.Resource == "":
		return "", "nothing that discovers targets asks for this path"
	case r.Resource == "nodes":
		return "", "no Role can allow this, since nodes are in no namespace: leave out `role: node` or `attach_metadata: {node: true}` in kubernetes_sd_configs"
	case r.Resource == "namespaces":
		return "", "no Role can allow this, since namespaces are in no namespace: leave out `attach_metadata: {namespace: true}` in kubernetes_sd_configs"
	case r.Namespace == "":
		return "", fmt.Sprintf("no Role can allow this, since it asks for all namespaces: name the one in kubernetes_sd_configs, with `namespaces: {names: [%s]}`, or bind a ClusterRole to %s where that is meant", c.options.Namespace, c.user())
	case r.Namespace != c.options.Namespace:
		return rule, fmt.Sprintf("the Role is for namespace %s only: leave %s out of `namespaces` in kubernetes_sd_configs, or add the rule to a Role in %s that is bound to %s",
			c.options.Namespace, r.Namespace, r.Namespace, c.user())
	case r.Resource == "endpoints":
		return rule, fmt.Sprintf("use `role: endpointslice`, which finds the same targets, or add the rule to the Role in %s", r.Namespace)
	default:
		return rule, fmt.Sprintf("add the rule to the Role in %s", r.Namespace)
	}
}
