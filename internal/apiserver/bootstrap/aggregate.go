package bootstrap

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Aggregate computes the rules of the aggregated cluster role target out of all cluster roles, for the
// controller that keeps them. changed is false where target already has exactly these rules, or gathers none. The
// error says which selector cannot be read.
func Aggregate(target *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) (rules []rbacv1.PolicyRule, changed bool, err error) {
	if target.AggregationRule == nil {
		return target.Rules, false, nil
	}
	byName := slices.SortedFunc(slices.Values(all), func(a, b *rbacv1.ClusterRole) int { return strings.Compare(a.Name, b.Name) })
	for i := range target.AggregationRule.ClusterRoleSelectors {
		sel, err := metav1.LabelSelectorAsSelector(&target.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, false, fmt.Errorf("cluster role %s: aggregation rule: %w", target.Name, err)
		}
		for _, r := range byName {
			if r.Name == target.Name || !sel.Matches(labels.Set(r.Labels)) {
				continue
			}
			for _, rule := range r.Rules {
				if !slices.ContainsFunc(rules, func(h rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(h, rule) }) {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules, !equality.Semantic.DeepEqual(rules, target.Rules), nil
}
