package api

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
)

// Validation of the admission kinds is written here and not taken from upstream, whose package draws in the whole policy
// plugin with its informers.

// validName is the rule for the names of all these kinds.
func validName(obj *metav1.ObjectMeta) field.ErrorList {
	return apivalidation.ValidateObjectMeta(obj, false, apivalidation.NameIsDNSSubdomain, metaPath)
}

// given is a value that counts as missing when it is empty.
func given[T ~string](v T) *T {
	if v == "" {
		return nil
	}
	return &v
}

// oneOf refuses a value that is not among the allowed, an empty one too, and a missing one when required.
func oneOf[T ~string](path *field.Path, v *T, required bool, allowed ...T) field.ErrorList {
	if v == nil {
		if required {
			return field.ErrorList{field.Required(path, "")}
		}
		return nil
	}
	if slices.Contains(allowed, *v) {
		return nil
	}
	slices.Sort(allowed)
	return field.ErrorList{field.NotSupported(path, *v, allowed)}
}

func validRules(path *field.Path, list []admissionregistration.RuleWithOperations) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		errs = append(errs, validRule(path.Index(i), &list[i])...)
	}
	return errs
}

func validRule(path *field.Path, r *admissionregistration.RuleWithOperations) field.ErrorList {
	errs := aloneWildcard(path.Child("operations"), r.Operations, "operations")
	for i, op := range r.Operations {
		errs = append(errs, oneOf(path.Child("operations").Index(i), &op, true, admissionregistration.OperationAll, admissionregistration.Create,
			admissionregistration.Update, admissionregistration.Delete, admissionregistration.Connect)...)
	}
	errs = append(errs, aloneWildcard(path.Child("apiGroups"), r.APIGroups, "API groups")...)
	errs = append(errs, aloneWildcard(path.Child("apiVersions"), r.APIVersions, "API versions")...)
	for i, v := range r.APIVersions {
		if v == "" {
			errs = append(errs, field.Required(path.Child("apiVersions").Index(i), ""))
		}
	}
	errs = append(errs, validResources(path.Child("resources"), r.Resources)...)
	return append(errs, oneOf(path.Child("scope"), r.Scope, false, admissionregistration.ClusterScope, admissionregistration.NamespacedScope, admissionregistration.AllScopes)...)
}

// aloneWildcard refuses an empty list, and one where "*" is not alone.
func aloneWildcard[T ~string](path *field.Path, list []T, what string) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	if len(list) > 1 && slices.Contains(list, "*") {
		return field.ErrorList{field.Invalid(path, list, fmt.Sprintf("if '*' is present, must not specify other %s", what))}
	}
	return nil
}

// validResources refuses entries that a wildcard before them covers.
func validResources(path *field.Path, list []string) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	allSubs, anyWith := map[string]bool{}, map[string]bool{}
	plain := false
	for i, r := range list {
		if r == "" {
			errs = append(errs, field.Required(path.Index(i), ""))
			continue
		}
		res, sub, ok := strings.Cut(r, "/")
		if !ok {
			plain = r != "*" // the last one decides, upstream's way
			continue
		}
		if allSubs[res] {
			errs = append(errs, field.Invalid(path.Index(i), r, fmt.Sprintf("if '%s/*' is present, must not specify %s", res, r)))
		}
		if anyWith[sub] {
			errs = append(errs, field.Invalid(path.Index(i), r, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, r)))
		}
		allSubs[res] = allSubs[res] || sub == "*"
		anyWith[sub] = anyWith[sub] || res == "*"
	}
	if len(list) > 1 && slices.Contains(list, "*/*") {
		errs = append(errs, field.Invalid(path, list, "if '*/*' is present, must not specify other resources"))
	}
	if plain && slices.Contains(list, "*") {
		errs = append(errs, field.Invalid(path, list, "if '*' is present, must not specify other resources without subresources"))
	}
	return errs
}

func validConditions(path *field.Path, list []admissionregistration.MatchCondition, x *expressions) field.ErrorList {
	const most = 64
	var errs field.ErrorList
	if len(list) > most {
		errs = append(errs, field.TooMany(path, len(list), most))
	}
	seen := map[string]bool{}
	for i, c := range list {
		if strings.TrimSpace(c.Expression) == "" {
			errs = append(errs, field.Required(path.Index(i).Child("expression"), ""))
		} else {
			errs = append(errs, x.match(path.Index(i).Child("expression"), c.Expression)...)
		}
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(path.Index(i).Child("name"), ""))
		case seen[c.Name]:
			errs = append(errs, field.Duplicate(path.Index(i).Child("name"), c.Name))
		default:
			errs = append(errs, corevalidation.ValidateQualifiedName(c.Name, path.Index(i).Child("name"))...)
		}
		seen[c.Name] = true
	}
	return errs
}

func validSelector(path *field.Path, s *metav1.LabelSelector) field.ErrorList {
	if s == nil {
		return nil
	}
	return metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, path)
}

// validMatch checks what a policy, or with its own restrictions a binding, applies to.
func validMatch(path *field.Path, m *admissionregistration.MatchResources) field.ErrorList {
	if m == nil {
		return nil
	}
	errs := oneOf(path.Child("matchPolicy"), m.MatchPolicy, true, admissionregistration.Exact, admissionregistration.Equivalent)
	for name, s := range map[string]*metav1.LabelSelector{"namespaceSelector": m.NamespaceSelector, "objectSelector": m.ObjectSelector} {
		if s == nil {
			errs = append(errs, field.Required(path.Child(name), ""))
		}
		errs = append(errs, validSelector(path.Child(name), s)...)
	}
	errs = append(errs, validNamedRules(path.Child("resourceRules"), m.ResourceRules)...)
	return append(errs, validNamedRules(path.Child("excludeResourceRules"), m.ExcludeResourceRules)...)
}

func validNamedRules(path *field.Path, list []admissionregistration.NamedRuleWithOperations) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		names := path.Index(i).Child("resourceNames")
		seen := map[string]bool{}
		for j, n := range list[i].ResourceNames {
			for _, msg := range content.IsPathSegmentName(n) {
				errs = append(errs, field.Invalid(names.Index(j), n, msg))
			}
			if seen[n] {
				errs = append(errs, field.Duplicate(names.Index(j), n))
			}
			seen[n] = true
		}
		errs = append(errs, validRule(path.Index(i), &list[i].RuleWithOperations)...)
	}
	return errs
}

func validParamKind(path *field.Path, k *admissionregistration.ParamKind) field.ErrorList {
	if k == nil {
		return nil
	}
	var errs field.ErrorList
	gv, err := schema.ParseGroupVersion(k.APIVersion)
	switch {
	case k.APIVersion == "":
		errs = append(errs, field.Required(path.Child("apiVersion"), ""))
	case err != nil:
		errs = append(errs, field.Invalid(path.Child("apiVersion"), k.APIVersion, err.Error()))
	default:
		if gv.Group != "" {
			for _, msg := range utilvalidation.IsDNS1123Subdomain(gv.Group) {
				errs = append(errs, field.Invalid(path.Child("apiVersion"), gv.Group, msg))
			}
		}
		for _, msg := range utilvalidation.IsDNS1035Label(gv.Version) {
			errs = append(errs, field.Invalid(path.Child("apiVersion"), gv.Version, msg))
		}
	}
	if k.Kind == "" {
		return append(errs, field.Required(path.Child("kind"), ""))
	}
	for _, msg := range utilvalidation.IsDNS1035Label(strings.ToLower(k.Kind)) {
		errs = append(errs, field.Invalid(path.Child("kind"), k.Kind, "may have mixed case, but should otherwise match: "+msg))
	}
	return errs
}

func validParamRef(path *field.Path, r *admissionregistration.ParamRef) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	if r.Name != "" {
		for _, msg := range content.IsPathSegmentName(r.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), r.Name, msg))
		}
	}
	switch {
	case r.Name == "" && r.Selector == nil:
		errs = append(errs, field.Required(path, "one of name or selector must be specified"))
	case r.Name != "" && r.Selector != nil:
		errs = append(errs, field.Forbidden(path.Child("name"), "name and selector are mutually exclusive"), field.Forbidden(path.Child("selector"), "name and selector are mutually exclusive"))
	}
	errs = append(errs, validSelector(path.Child("selector"), r.Selector)...)
	action := path.Child("parameterNotFoundAction")
	switch a := deref(r.ParameterNotFoundAction); a {
	case admissionregistration.DenyAction, admissionregistration.AllowAction:
		return errs
	case "":
		return append(errs, field.Required(action, ""))
	default:
		return append(errs, field.NotSupported(action, a, []admissionregistration.ParameterNotFoundActionType{admissionregistration.DenyAction, admissionregistration.AllowAction}))
	}
}

func validPolicyName(path *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "").MarkCoveredByDeclarative()}
	}
	var errs field.ErrorList
	for _, msg := range apivalidation.NameIsDNSSubdomain(name, false) {
		errs = append(errs, field.Invalid(path, name, msg))
	}
	return errs
}
