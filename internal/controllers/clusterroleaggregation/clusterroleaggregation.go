// Package clusterroleaggregation keeps the rules of cluster roles that gather other roles' rules: view, edit, admin, and
// those that users make.
package clusterroleaggregation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// Account is the service account that the controller writes as, and the manager of the rules it writes.
const Account = "clusterrole-aggregation-controller"

// Aggregate computes the rules of target out of all cluster roles; changed says whether they are not what target has.
type Aggregate func(target *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) (rules []rbacv1.PolicyRule, changed bool, err error)

// New returns the controller.
func New(vs *client.Views, aggregate Aggregate, _ *slog.Logger) control.Controller {
	roles := client.ViewOf(vs, client.ClusterRoles)
	return control.Controller{
		Name: "clusterroleaggregation",
		Sources: []control.Source{control.On(roles, func(old, new *rbacv1.ClusterRole) []control.Key {
			if old != nil && new != nil && same(old, new) {
				return nil
			}
			return gathering(roles.List("", nil))
		})},
		Writes: []string{"clusterroles.rbac.authorization.k8s.io:aggregated rules"},
		Reconcile: func(ctx context.Context, k control.Key) (control.Result, error) {
			role, ok := roles.Get("", k.Name)
			if !ok || role.DeletionTimestamp != nil {
				return control.Result{}, nil
			}
			rules, changed, err := aggregate(role, roles.List("", nil))
			if err != nil || !changed {
				return control.Result{}, err
			}
			return control.Result{}, apply(ctx, vs.Client(), role, rules)
		},
	}
}

// same says whether a change can make no difference to any aggregated role.
func same(a, b *rbacv1.ClusterRole) bool {
	return equality.Semantic.DeepEqual(a.Rules, b.Rules) && equality.Semantic.DeepEqual(a.Labels, b.Labels) &&
		equality.Semantic.DeepEqual(a.AggregationRule, b.AggregationRule)
}

func gathering(all []*rbacv1.ClusterRole) (keys []control.Key) {
	for _, r := range all {
		if r.AggregationRule != nil {
			keys = append(keys, control.Key{Name: r.Name})
		}
	}
	return keys
}

// apply writes the rules as their manager, as upstream does. The UID keeps it from making a role that was just deleted.
func apply(ctx context.Context, c *client.Client, role *rbacv1.ClusterRole, rules []rbacv1.PolicyRule) error {
	if rules == nil {
		rules = []rbacv1.PolicyRule{}
	}
	body, err := json.Marshal(map[string]any{"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": "ClusterRole",
		"metadata": map[string]any{"name": role.Name, "uid": role.UID}, "rules": rules})
	if err != nil {
		return err
	}
	if _, err := client.Of(c, client.ClusterRoles).Apply(ctx, "", role.Name, Account, body); err != nil {
		return fmt.Errorf("apply cluster role %s: %w", role.Name, err)
	}
	return nil
}
