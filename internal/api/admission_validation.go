package api

import (
	"fmt"
	"net/url"
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
// plugin with its informers. CEL expressions are not compiled here: the policy engine does, and reports.

// validName is the rule for the names of all these kinds.
func validName(obj *metav1.ObjectMeta) field.ErrorList {
	return apivalidation.ValidateObjectMeta(obj, false, apivalidation.NameIsDNSSubdomain, metaPath)
}

// oneOf refuses a value that is not among the allowed, and a missing one when required.
func oneOf[T ~string](path *field.Path, v *T, required bool, allowed ...T) field.ErrorList {
	if v == nil || *v == "" {
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
			plain = plain || r != "*"
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

func validConditions(path *field.Path, list []admissionregistration.MatchCondition) field.ErrorList {
	const most = 64
	var errs field.ErrorList
	if len(list) > most {
		errs = append(errs, field.TooMany(path, len(list), most))
	}
	seen := map[string]bool{}
	for i, c := range list {
		if strings.TrimSpace(c.Expression) == "" {
			errs = append(errs, field.Required(path.Index(i).Child("expression"), ""))
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

// hook is what the two kinds of webhooks share.
type hook struct {
	name               string
	client             admissionregistration.WebhookClientConfig
	rules              []admissionregistration.RuleWithOperations
	failure            *admissionregistration.FailurePolicyType
	match              *admissionregistration.MatchPolicyType
	namespaces, object *metav1.LabelSelector
	effects            *admissionregistration.SideEffectClass
	timeout            *int32
	versions           []string
	conditions         []admissionregistration.MatchCondition
}

// validHooks checks the webhooks of a configuration; those of the old one, nil on create, relax what it already breaks.
func validHooks(hooks, old []hook) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	had := map[string]hook{}
	for _, h := range old {
		had[h.name] = h
	}
	for i, h := range hooks {
		path := field.NewPath("webhooks").Index(i)
		errs = append(errs, validHook(path, h, had[h.name])...)
		if seen[h.name] {
			errs = append(errs, field.Duplicate(path.Child("name"), h.name))
		}
		seen[h.name] = true
	}
	return errs
}

func validHook(path *field.Path, h, old hook) field.ErrorList {
	errs := utilvalidation.IsFullyQualifiedName(path.Child("name"), h.name)
	errs = append(errs, validRules(path.Child("rules"), h.rules)...)
	errs = append(errs, oneOf(path.Child("failurePolicy"), h.failure, false, admissionregistration.Ignore, admissionregistration.Fail)...)
	errs = append(errs, oneOf(path.Child("matchPolicy"), h.match, false, admissionregistration.Exact, admissionregistration.Equivalent)...)
	errs = append(errs, validEffects(path.Child("sideEffects"), h.effects, old.effects)...)
	if h.timeout != nil && (*h.timeout > 30 || *h.timeout < 1) {
		errs = append(errs, field.Invalid(path.Child("timeoutSeconds"), *h.timeout, "the timeout value must be between 1 and 30 seconds"))
	}
	if !sameValue(h.namespaces, old.namespaces) {
		errs = append(errs, validSelector(path.Child("namespaceSelector"), h.namespaces)...)
	}
	if !sameValue(h.object, old.object) {
		errs = append(errs, validSelector(path.Child("objectSelector"), h.object)...)
	}
	errs = append(errs, validClient(path.Child("clientConfig"), &h.client)...)
	errs = append(errs, validConditions(path.Child("matchConditions"), h.conditions)...)
	return append(errs, validReviewVersions(path.Child("admissionReviewVersions"), h.versions)...)
}

func validEffects(path *field.Path, e, old *admissionregistration.SideEffectClass) field.ErrorList {
	allowed := []admissionregistration.SideEffectClass{admissionregistration.SideEffectClassNone, admissionregistration.SideEffectClassNoneOnDryRun}
	if old != nil && !slices.Contains(allowed, *old) {
		allowed = append(allowed, admissionregistration.SideEffectClassUnknown, admissionregistration.SideEffectClassSome)
	}
	if e == nil {
		return field.ErrorList{field.Required(path, fmt.Sprintf("must specify one of %v", join(allowed)))}
	}
	return oneOf(path, e, true, allowed...)
}

func join[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}

// validClient wants either a URL by HTTPS or a service.
func validClient(path *field.Path, c *admissionregistration.WebhookClientConfig) field.ErrorList {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		return field.ErrorList{field.Required(path, "exactly one of url or service is required")}
	case c.URL != nil:
		return validHookURL(path.Child("url"), *c.URL)
	}
	var errs field.ErrorList
	s, path := c.Service, path.Child("service")
	if s.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), "service name is required"))
	}
	if s.Namespace == "" {
		errs = append(errs, field.Required(path.Child("namespace"), "service namespace is required"))
	}
	for _, msg := range utilvalidation.IsValidPortNum(int(s.Port)) {
		errs = append(errs, field.Invalid(path.Child("port"), s.Port, "port is not valid: "+msg))
	}
	if s.Path != nil && !strings.HasPrefix(*s.Path, "/") {
		errs = append(errs, field.Invalid(path.Child("path"), *s.Path, "must start with a '/'"))
	}
	return errs
}

func validHookURL(path *field.Path, raw string) field.ErrorList {
	const form = "; desired format: https://host[/path]"
	u, err := url.Parse(raw)
	if err != nil {
		return field.ErrorList{field.Required(path, "url must be a valid URL: "+err.Error()+form)}
	}
	var errs field.ErrorList
	if u.Scheme != "https" {
		errs = append(errs, field.Invalid(path, u.Scheme, "'https' is the only allowed URL scheme"+form))
	}
	if u.Host == "" {
		errs = append(errs, field.Invalid(path, u.Host, "host must be specified"+form))
	}
	if u.User != nil {
		errs = append(errs, field.Invalid(path, u.User.String(), "user information is not permitted in the URL"))
	}
	if u.Fragment != "" {
		errs = append(errs, field.Invalid(path, u.Fragment, "fragments are not permitted in the URL"))
	}
	if u.RawQuery != "" {
		errs = append(errs, field.Invalid(path, u.RawQuery, "query parameters are not permitted in the URL"))
	}
	return errs
}

// validReviewVersions wants at least one version that the server can send.
func validReviewVersions(path *field.Path, list []string) field.ErrorList {
	known := []string{"v1", "v1beta1"}
	if len(list) == 0 {
		return field.ErrorList{field.Required(path, "must specify one of "+join(known))}
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	accepted := false
	for i, v := range list {
		if seen[v] {
			errs = append(errs, field.Invalid(path.Index(i), v, "duplicate version"))
			continue
		}
		seen[v] = true
		accepted = accepted || slices.Contains(known, v)
		for _, msg := range utilvalidation.IsDNS1035Label(v) {
			errs = append(errs, field.Invalid(path.Index(i), v, msg))
		}
	}
	if !accepted {
		errs = append(errs, field.Invalid(path, list, "must include at least one of "+join(known)))
	}
	return errs
}

// hookRulesWarnings tells of rules that name a resource which webhooks never see.
func hookRulesWarnings(hooks []hook) []string {
	var w []string
	for i, h := range hooks {
		for j, r := range h.rules {
			for _, gr := range unhooked() {
				if slices.Contains(r.APIGroups, gr.Group) && slices.Contains(r.Resources, gr.Resource) {
					w = append(w, fmt.Sprintf("%s: %s is excluded from admission webhooks; this rule will have no effect", field.NewPath("webhooks").Index(i).Child("rules").Index(j), gr))
				}
			}
		}
	}
	return w
}

// unhooked are the virtual resources that admission webhooks never see, when that feature is on.
func unhooked() []schema.GroupResource {
	if !gate("ExcludeAdmissionWebhookVirtualResources") {
		return nil
	}
	const authentication, authorization = "authentication.k8s.io", "authorization.k8s.io"
	return []schema.GroupResource{
		{Group: authentication, Resource: "selfsubjectreviews"},
		{Group: authentication, Resource: "tokenreviews"},
		{Group: authorization, Resource: "localsubjectaccessreviews"},
		{Group: authorization, Resource: "selfsubjectaccessreviews"},
		{Group: authorization, Resource: "selfsubjectrulesreviews"},
		{Group: authorization, Resource: "subjectaccessreviews"},
	}
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
	switch {
	case r.Name == "" && r.Selector == nil:
		errs = append(errs, field.Required(path, "one of name or selector must be specified"))
	case r.Name != "" && r.Selector != nil:
		errs = append(errs, field.Forbidden(path.Child("name"), "name and selector are mutually exclusive"), field.Forbidden(path.Child("selector"), "name and selector are mutually exclusive"))
	}
	if r.Name != "" {
		for _, msg := range content.IsPathSegmentName(r.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), r.Name, msg))
		}
	}
	errs = append(errs, validSelector(path.Child("selector"), r.Selector)...)
	return append(errs, oneOf(path.Child("parameterNotFoundAction"), r.ParameterNotFoundAction, true, admissionregistration.DenyAction, admissionregistration.AllowAction)...)
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
