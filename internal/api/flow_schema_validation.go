package api

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	apimachinery "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	core "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/flowcontrol"
	conversion "k8s.io/kubernetes/pkg/apis/flowcontrol/v1"
)

// Flow schemas and priority levels are validated by code of ours, because upstream's brings three versions that are not
// served any more: a megabyte. flow_schema_validation_test.go holds it to upstream's, error for error.

// mandatoryFlows are the specs of the flow schemas that nobody may change, by name.
var mandatoryFlows = sync.OnceValue(func() map[string]flowcontrol.FlowSchemaSpec {
	specs := map[string]flowcontrol.FlowSchemaSpec{}
	for _, s := range bootstrap.MandatoryFlowSchemas {
		var spec flowcontrol.FlowSchemaSpec
		if err := conversion.Convert_v1_FlowSchemaSpec_To_flowcontrol_FlowSchemaSpec(&s.Spec, &spec, nil); err != nil {
			panic(err) // upstream's own data
		}
		specs[s.Name] = spec
	}
	return specs
})

func validFlow(f *flowcontrol.FlowSchema) field.ErrorList {
	errs := core.ValidateObjectMeta(&f.ObjectMeta, false, apimachinery.NameIsDNSSubdomain, field.NewPath("metadata"))
	at := field.NewPath("spec")
	errs = append(errs, validFlowSpec(f.Name, &f.Spec, at)...)
	if spec, ok := mandatoryFlows()[f.Name]; ok && !Equal(f.Spec, spec) {
		errs = append(errs, field.Invalid(at, f.Spec, fmt.Sprintf("spec of '%s' must equal the fixed value", f.Name)))
	}
	return append(errs, validFlowStatus(f)...)
}

func validFlowSpec(name string, spec *flowcontrol.FlowSchemaSpec, at *field.Path) (errs field.ErrorList) {
	precedence := func(message string) {
		errs = append(errs, field.Invalid(at.Child("matchingPrecedence"), spec.MatchingPrecedence, message))
	}
	switch p := spec.MatchingPrecedence; {
	case p <= 0:
		precedence("must be a positive value")
	case p > flowcontrol.FlowSchemaMaxMatchingPrecedence:
		precedence(fmt.Sprintf("must not be greater than %v", flowcontrol.FlowSchemaMaxMatchingPrecedence))
	case p == 1 && name != flowcontrol.FlowSchemaNameExempt:
		precedence("only the schema named 'exempt' may have matchingPrecedence 1")
	}
	methods := []string{string(flowcontrol.FlowDistinguisherMethodByNamespaceType), string(flowcontrol.FlowDistinguisherMethodByUserType)}
	if m := spec.DistinguisherMethod; m != nil && !slices.Contains(methods, string(m.Type)) {
		errs = append(errs, field.NotSupported(at.Child("distinguisherMethod", "type"), m, methods))
	}
	level := at.Child("priorityLevelConfiguration", "name")
	if name := spec.PriorityLevelConfiguration.Name; name == "" {
		errs = append(errs, field.Required(level, "must reference a priority level"))
	} else {
		errs = append(errs, invalid(level, name, apimachinery.NameIsDNSSubdomain(name, false))...)
	}
	for i := range spec.Rules {
		errs = append(errs, validFlowRules(&spec.Rules[i], at.Child("rules").Index(i))...)
	}
	return errs
}

func validFlowRules(r *flowcontrol.PolicyRulesWithSubjects, at *field.Path) (errs field.ErrorList) {
	if len(r.Subjects) == 0 {
		errs = append(errs, field.Required(at.Child("subjects"), "subjects must contain at least one value"))
	}
	for i, s := range r.Subjects {
		errs = append(errs, validFlowSubject(s, at.Child("subjects").Index(i))...)
	}
	if len(r.ResourceRules)+len(r.NonResourceRules) == 0 {
		errs = append(errs, field.Required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	for i, rule := range r.ResourceRules {
		errs = append(errs, validResourceRule(rule, at.Child("resourceRules").Index(i))...)
	}
	for i, rule := range r.NonResourceRules {
		errs = append(errs, validNonResourceRule(rule, at.Child("nonResourceRules").Index(i))...)
	}
	return errs
}

// validFlowSubject wants the one part of a subject that its kind names, and no other.
func validFlowSubject(s flowcontrol.Subject, at *field.Path) (errs field.ErrorList) {
	parts := []struct {
		kind  flowcontrol.SubjectKind
		name  string
		given bool
		valid func(at *field.Path) field.ErrorList
	}{
		{flowcontrol.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil, func(at *field.Path) field.ErrorList { return validFlowAccount(s.ServiceAccount, at) }},
		{flowcontrol.SubjectKindUser, "user", s.User != nil, func(at *field.Path) field.ErrorList { return named(s.User.Name, at) }},
		{flowcontrol.SubjectKindGroup, "group", s.Group != nil, func(at *field.Path) field.ErrorList { return named(s.Group.Name, at) }},
	}
	var kinds []string
	for _, p := range parts {
		if kinds = append(kinds, string(p.kind)); p.kind != s.Kind {
			continue
		}
		if p.given {
			errs = append(errs, p.valid(at.Child(p.name))...)
		} else {
			errs = append(errs, field.Required(at.Child(p.name), fmt.Sprintf("%s is required when subject kind is '%s'", p.name, p.kind)))
		}
	}
	if !slices.Contains(kinds, string(s.Kind)) {
		slices.Sort(kinds)
		return append(errs, field.NotSupported(at.Child("kind"), s.Kind, kinds))
	}
	for _, p := range parts {
		if p.given && p.kind != s.Kind {
			errs = append(errs, field.Forbidden(at.Child(p.name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", p.name, p.kind)))
		}
	}
	return errs
}

func validFlowAccount(s *flowcontrol.ServiceAccountSubject, at *field.Path) (errs field.ErrorList) {
	errs = named(s.Name, at)
	if s.Name != "" && s.Name != flowcontrol.NameAll {
		errs = invalid(at.Child("name"), s.Name, apimachinery.ValidateServiceAccountName(s.Name, false))
	}
	if s.Namespace == "" {
		return append(errs, field.Required(at.Child("namespace"), "must specify namespace for service account"))
	}
	return append(errs, invalid(at.Child("namespace"), s.Namespace, apimachinery.ValidateNamespaceName(s.Namespace, false))...)
}

func validResourceRule(r flowcontrol.ResourcePolicyRule, at *field.Path) field.ErrorList {
	errs := validFlowVerbs(r.Verbs, at.Child("verbs"))
	errs = append(errs, allOrSome(r.APIGroups, at.Child("apiGroups"), "resource rules must supply at least one api group", "api groups")...)
	errs = append(errs, allOrSome(r.Resources, at.Child("resources"), "resource rules must supply at least one resource", "resources")...)
	at = at.Child("namespaces")
	if len(r.Namespaces) == 0 && r.ClusterScope {
		return errs
	}
	errs = append(errs, allOrSome(r.Namespaces, at, "resource rules that are not cluster scoped must supply at least one namespace", "namespaces")...)
	if slices.Contains(r.Namespaces, flowcontrol.NamespaceEvery) {
		return errs
	}
	for i, ns := range r.Namespaces {
		for _, m := range apimachinery.ValidateNamespaceName(ns, false) {
			errs = append(errs, field.Invalid(at.Index(i), ns, "each member of this list must be '*' or a DNS-1123 label; "+m))
		}
	}
	return errs
}

func validNonResourceRule(r flowcontrol.NonResourcePolicyRule, at *field.Path) field.ErrorList {
	errs := validFlowVerbs(r.Verbs, at.Child("verbs"))
	at = at.Child("nonResourceURLs")
	errs = append(errs, allOrSome(r.NonResourceURLs, at, "nonResourceURLs must contain at least one value", "non-resource URLs")...)
	if slices.Contains(r.NonResourceURLs, flowcontrol.NonResourceAll) {
		return errs
	}
	for i, path := range r.NonResourceURLs {
		if m := badURLPath(path); m != "" {
			errs = append(errs, field.Invalid(at.Index(i), path, m))
		}
	}
	return errs
}

// badURLPath says what is wrong with a path, which may end in /*.
func badURLPath(path string) string {
	switch stars := strings.Count(path, "*"); {
	case path == "":
		return "must not be empty"
	case path == "/":
		return ""
	case path[0] != '/':
		return "must start with slash"
	case strings.Contains(path, " "):
		return "must not contain white-space"
	case strings.Contains(path, "//"):
		return "must not contain double slash"
	case stars > 1, stars == 1 && !strings.HasSuffix(path, "/*"):
		return "wildcard can only do suffix matching"
	}
	return ""
}

var flowVerbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}

func validFlowVerbs(verbs []string, at *field.Path) field.ErrorList {
	errs := allOrSome(verbs, at, "verbs must contain at least one value", "verbs")
	unknown := func(v string) bool { return !slices.Contains(flowVerbs, v) }
	if !slices.Contains(verbs, flowcontrol.VerbAll) && slices.ContainsFunc(verbs, unknown) {
		errs = append(errs, field.NotSupported(at, verbs, flowVerbs))
	}
	return errs
}

// allOrSome wants something in a list, and nothing beside "*".
func allOrSome(list []string, at *field.Path, none, what string) field.ErrorList {
	switch {
	case len(list) == 0:
		return field.ErrorList{field.Required(at, none)}
	case len(list) > 1 && slices.Contains(list, "*"):
		return field.ErrorList{field.Invalid(at, list, "if '*' is present, must not specify other "+what)}
	}
	return nil
}

func validFlowStatus(f *flowcontrol.FlowSchema) field.ErrorList {
	return validConditionTypes(f.Status.Conditions, func(c flowcontrol.FlowSchemaCondition) string { return string(c.Type) })
}

// validConditionTypes wants each condition of a status to be of a type of its own.
func validConditionTypes[C any](conditions []C, typ func(C) string) (errs field.ErrorList) {
	seen := map[string]bool{}
	for i, c := range conditions {
		at, t := field.NewPath("status", "conditions").Index(i).Child("type"), typ(c)
		if seen[t] {
			errs = append(errs, field.Duplicate(at, t))
		}
		if seen[t] = true; t == "" {
			errs = append(errs, field.Required(at, ""))
		}
	}
	return errs
}

func named(name string, at *field.Path) field.ErrorList {
	if name != "" {
		return nil
	}
	return field.ErrorList{field.Required(at.Child("name"), "")}
}

func invalid(at *field.Path, value any, messages []string) (errs field.ErrorList) {
	for _, m := range messages {
		errs = append(errs, field.Invalid(at, value, m))
	}
	return errs
}
