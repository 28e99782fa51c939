package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

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
	keep := len(old) > 0 && sameConditions(hooks, old)
	for i, h := range hooks {
		path := field.NewPath("webhooks").Index(i)
		errs = append(errs, validHook(path, h, had[h.name], keep)...)
		if seen[h.name] {
			errs = append(errs, field.Duplicate(path.Child("name"), h.name))
		}
		seen[h.name] = true
	}
	return errs
}

// sameConditions says whether no condition has changed, so that those of an older version need not be compiled again.
func sameConditions(hooks, old []hook) bool {
	return slices.EqualFunc(hooks, old, func(a, b hook) bool { return sameValue(a.conditions, b.conditions) })
}

func texts(list []admissionregistration.MatchCondition) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = strings.TrimSpace(c.Expression)
	}
	return out
}

// validHook checks one webhook; keep says that its conditions are known to be good.
func validHook(path *field.Path, h, old hook, keep bool) field.ErrorList {
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
	if !keep {
		errs = append(errs, validConditions(path.Child("matchConditions"), h.conditions, newExpressions(false, false, texts(old.conditions)))...)
	}
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
	// Upstream mixes these two up, and so do its messages.
	if s.Namespace == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	}
	if s.Name == "" {
		errs = append(errs, field.Required(path.Child("namespace"), ""))
	}
	if msgs := utilvalidation.IsValidPortNum(int(s.Port)); len(msgs) > 0 {
		errs = append(errs, field.Invalid(path.Child("port"), s.Port, "port is not valid: "+strings.Join(msgs, ", ")))
	}
	return append(errs, validHookPath(path.Child("path"), deref(s.Path))...)
}

// validHookPath wants every part of a path to be a name.
func validHookPath(path *field.Path, text string) field.ErrorList {
	switch text {
	case "", "/":
		return nil
	case "//":
		return field.ErrorList{field.Invalid(path, text, "segment[0] may not be empty")}
	}
	var errs field.ErrorList
	if !strings.HasPrefix(text, "/") {
		errs = append(errs, field.Invalid(path, text, "must start with a '/'"))
	}
	for i, part := range strings.Split(strings.TrimSuffix(text[1:], "/"), "/") {
		if part == "" {
			errs = append(errs, field.Invalid(path, text, fmt.Sprintf("segment[%d] may not be empty", i)))
			continue
		}
		for _, msg := range utilvalidation.IsDNS1123Subdomain(part) {
			errs = append(errs, field.Invalid(path, text, fmt.Sprintf("segment[%d]: %v", i, msg)))
		}
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
