package api

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/jsonpath"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

// validValidatingPolicy checks a policy; old is nil on create.
func validValidatingPolicy(p, old *admissionregistration.ValidatingAdmissionPolicy) field.ErrorList {
	errs, spec, path := validName(&p.ObjectMeta), &p.Spec, field.NewPath("spec")
	base := policyBase{spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, spec.MatchConditions, spec.Variables}
	var had []string
	keep := false
	if old != nil {
		had = validatingTexts(&old.Spec)
		keep = sameValue(spec.ParamKind, old.Spec.ParamKind) && sameValue(spec.MatchConditions, old.Spec.MatchConditions)
	}
	x := newExpressions(len(spec.Variables) > 0, spec.ParamKind != nil, had)
	errs = append(errs, base.valid(path, x, keep)...)
	if len(spec.Validations) == 0 && len(spec.AuditAnnotations) == 0 {
		const need = "validations or auditAnnotations must contain at least one item"
		return append(errs, field.Required(path.Child("validations"), need), field.Required(path.Child("auditAnnotations"), need))
	}
	for i := range spec.Validations {
		errs = append(errs, validPolicyRule(path.Child("validations").Index(i), &spec.Validations[i], x)...)
	}
	return append(errs, validAuditAnnotations(path.Child("auditAnnotations"), p.Name, spec.AuditAnnotations, x)...)
}

// validatingTexts are all expressions of a policy, as they are compiled.
func validatingTexts(spec *admissionregistration.ValidatingAdmissionPolicySpec) []string {
	out := texts(spec.MatchConditions)
	for _, v := range spec.Validations {
		out = append(out, v.Expression, v.MessageExpression)
	}
	for _, a := range spec.AuditAnnotations {
		out = append(out, strings.TrimSpace(a.ValueExpression))
	}
	return out
}

// policyBase is what validating and mutating policies share.
type policyBase struct {
	failure    *admissionregistration.FailurePolicyType
	kind       *admissionregistration.ParamKind
	match      *admissionregistration.MatchResources
	conditions []admissionregistration.MatchCondition
	variables  []admissionregistration.Variable
}

// valid checks the base; keep says that its conditions are known to be good.
func (b *policyBase) valid(path *field.Path, x *expressions, keep bool) field.ErrorList {
	errs := oneOf(path.Child("failurePolicy"), b.failure, true, admissionregistration.Ignore, admissionregistration.Fail)
	errs = append(errs, validParamKind(path.Child("paramKind"), b.kind)...)
	errs = append(errs, validMatch(path.Child("matchConstraints"), b.match)...)
	if b.match == nil {
		errs = append(errs, field.Required(path.Child("matchConstraints"), ""))
	} else if len(b.match.ResourceRules) == 0 {
		errs = append(errs, field.Required(path.Child("matchConstraints", "resourceRules"), ""))
	}
	if !keep {
		errs = append(errs, validConditions(path.Child("matchConditions"), b.conditions, x)...)
	}
	for i, v := range b.variables {
		errs = append(errs, validVariable(path.Child("variables").Index(i), v, x)...)
	}
	return errs
}

// celReserved cannot be names in CEL.
var celReserved = []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}

var celName = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

func validVariable(path *field.Path, v admissionregistration.Variable, x *expressions) field.ErrorList {
	var errs field.ErrorList
	switch {
	case strings.TrimSpace(v.Name) == "":
		errs = append(errs, field.Required(path.Child("name"), "name is not specified"))
	case !celName.MatchString(v.Name) || slices.Contains(celReserved, v.Name):
		errs = append(errs, field.Invalid(path.Child("name"), v.Name, "must be a valid CEL identifier"))
	}
	if strings.TrimSpace(v.Expression) == "" {
		return append(errs, field.Required(path.Child("expression"), "expression is not specified"))
	}
	return append(errs, x.variable(path.Child("expression"), v.Name, v.Expression)...)
}

func validPolicyRule(path *field.Path, v *admissionregistration.Validation, x *expressions) field.ErrorList {
	var errs field.ErrorList
	blank := func(s string) bool { return s != "" && strings.TrimSpace(s) == "" }
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(path.Child("expression"), "expression is not specified"))
	} else {
		errs = append(errs, x.condition(path.Child("expression"), v.Expression)...)
	}
	if blank(v.MessageExpression) {
		errs = append(errs, field.Invalid(path.Child("messageExpression"), v.MessageExpression, "must be non-empty if specified"))
	} else if v.MessageExpression != "" {
		errs = append(errs, x.message(path.Child("messageExpression"), v.MessageExpression)...)
	}
	switch {
	case blank(v.Message):
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, "must be non-empty if specified"))
	case strings.ContainsAny(strings.TrimSpace(v.Message), "\n\r"):
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, "must not contain line breaks"))
	}
	return append(errs, oneOf(path.Child("reason"), v.Reason, false, metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge)...)
}

func validAuditAnnotations(path *field.Path, policy string, list []admissionregistration.AuditAnnotation, x *expressions) field.ErrorList {
	const most, longest = 20, 5 * 1024
	var errs field.ErrorList
	if len(list) > most {
		errs = append(errs, field.Invalid(path, list, "must not have more than 20 auditAnnotations"))
	}
	seen := map[string]bool{}
	for i, a := range list {
		key, value := path.Index(i).Child("key"), path.Index(i).Child("valueExpression")
		if seen[a.Key] {
			errs = append(errs, field.Duplicate(key, a.Key))
		}
		seen[a.Key] = true
		if policy == "" {
			errs = append(errs, field.Invalid(key, a.Key, "requires metadata.name be non-empty"))
		} else {
			for _, msg := range utilvalidation.IsQualifiedName(policy + "/" + a.Key) {
				errs = append(errs, field.Invalid(key, policy+"/"+a.Key, msg))
			}
		}
		switch {
		case strings.TrimSpace(a.ValueExpression) == "":
			errs = append(errs, field.Required(value, "valueExpression is not specified"))
		case len(strings.TrimSpace(a.ValueExpression)) > longest:
			errs = append(errs, field.Required(value, fmt.Sprintf("must not exceed %d bytes in length", longest)))
		default:
			errs = append(errs, x.annotation(value, a.ValueExpression)...)
		}
	}
	return errs
}

// validMutatingPolicy checks a policy; old is nil on create.
func validMutatingPolicy(p, old *admissionregistration.MutatingAdmissionPolicy) field.ErrorList {
	errs, spec, path := validName(&p.ObjectMeta), &p.Spec, field.NewPath("spec")
	base := policyBase{spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, spec.MatchConditions, spec.Variables}
	var had []string
	keep := false
	if old != nil {
		had = mutatingTexts(&old.Spec)
		keep = sameValue(spec.ParamKind, old.Spec.ParamKind) && sameValue(spec.MatchConditions, old.Spec.MatchConditions)
	}
	x := newExpressions(true, spec.ParamKind != nil, had)
	errs = append(errs, base.valid(path, x, keep)...)
	errs = append(errs, noDelete(path.Child("matchConstraints"), spec.MatchConstraints)...)
	if len(spec.Mutations) == 0 {
		errs = append(errs, field.Required(path.Child("mutations"), "mutations must contain at least one item"))
	}
	for i := range spec.Mutations {
		errs = append(errs, validMutation(path.Child("mutations").Index(i), &spec.Mutations[i], x)...)
	}
	return append(errs, oneOf(path.Child("reinvocationPolicy"), given(spec.ReinvocationPolicy), true, admissionregistration.NeverReinvocationPolicy, admissionregistration.IfNeededReinvocationPolicy)...)
}

// mutatingTexts are all expressions of a policy, as they are compiled.
func mutatingTexts(spec *admissionregistration.MutatingAdmissionPolicySpec) []string {
	out := texts(spec.MatchConditions)
	for _, m := range spec.Mutations {
		if m.ApplyConfiguration != nil {
			out = append(out, strings.TrimSpace(m.ApplyConfiguration.Expression))
		}
		if m.JSONPatch != nil {
			out = append(out, strings.TrimSpace(m.JSONPatch.Expression))
		}
	}
	return out
}

// noDelete: there is nothing to change in an object that goes away.
func noDelete(path *field.Path, m *admissionregistration.MatchResources) field.ErrorList {
	if m == nil {
		return nil
	}
	var errs field.ErrorList
	for _, r := range m.ResourceRules {
		for _, op := range r.RuleWithOperations.Operations {
			errs = append(errs, oneOf(path.Child("resourceRules", "operations"), &op, true, admissionregistration.OperationAll, admissionregistration.Create,
				admissionregistration.Update, admissionregistration.Connect)...)
		}
	}
	return errs
}

func validMutation(path *field.Path, m *admissionregistration.Mutation, x *expressions) field.ErrorList {
	patch, apply := path.Child("jsonPatch"), path.Child("applyConfiguration")
	var errs field.ErrorList
	switch m.PatchType {
	case admissionregistration.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			errs = append(errs, field.Required(patch, "must be specified when patchType is JSONPatch"))
		} else if strings.TrimSpace(m.JSONPatch.Expression) == "" {
			errs = append(errs, field.Required(patch.Child("expression"), ""))
		} else {
			errs = append(errs, x.patch(patch.Child("expression"), m.JSONPatch.Expression, "JSONPatch")...)
		}
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Invalid(apply, "{applyConfiguration}", "must not be specified when patchType is JSONPatch"))
		}
	case admissionregistration.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			errs = append(errs, field.Required(apply, "must be specified when patchType is ApplyConfiguration"))
		} else if strings.TrimSpace(m.ApplyConfiguration.Expression) == "" {
			errs = append(errs, field.Required(apply.Child("expression"), ""))
		} else {
			errs = append(errs, x.patch(apply.Child("expression"), m.ApplyConfiguration.Expression, "Object")...)
		}
		if m.JSONPatch != nil {
			errs = append(errs, field.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration"))
		}
	default:
		return oneOf(path.Child("patchType"), given(m.PatchType), true, admissionregistration.PatchTypeApplyConfiguration, admissionregistration.PatchTypeJSONPatch)
	}
	return errs
}

func validValidatingBinding(b *admissionregistration.ValidatingAdmissionPolicyBinding) field.ErrorList {
	errs, path := validName(&b.ObjectMeta), field.NewPath("spec")
	errs = append(errs, validPolicyName(path.Child("policyName"), b.Spec.PolicyName)...)
	errs = append(errs, validParamRef(path.Child("paramRef"), b.Spec.ParamRef)...)
	errs = append(errs, validMatch(path.Child("matchResources"), b.Spec.MatchResources)...)
	return append(errs, validActions(path.Child("validationActions"), b.Spec.ValidationActions)...)
}

func validMutatingBinding(b *admissionregistration.MutatingAdmissionPolicyBinding) field.ErrorList {
	errs, path := validName(&b.ObjectMeta), field.NewPath("spec")
	errs = append(errs, validPolicyName(path.Child("policyName"), b.Spec.PolicyName)...)
	errs = append(errs, validParamRef(path.Child("paramRef"), b.Spec.ParamRef)...)
	errs = append(errs, validMatch(path.Child("matchResources"), b.Spec.MatchResources)...)
	return append(errs, noDelete(path.Child("matchResources"), b.Spec.MatchResources)...)
}

func validActions(path *field.Path, list []admissionregistration.ValidationAction) field.ErrorList {
	var errs field.ErrorList
	if len(list) == 0 {
		return field.ErrorList{field.Required(path, "at least one validation action is required").MarkCoveredByDeclarative()}
	}
	seen := map[admissionregistration.ValidationAction]bool{}
	for i, a := range list {
		errs = append(errs, oneOf(path.Index(i), &a, true, admissionregistration.Deny, admissionregistration.Warn, admissionregistration.Audit)...)
		if seen[a] {
			errs = append(errs, field.Duplicate(path.Index(i), a))
		}
		seen[a] = true
	}
	if seen[admissionregistration.Deny] && seen[admissionregistration.Warn] {
		errs = append(errs, field.Invalid(path, list, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	return errs
}

// staticName is the end of names that are kept for policies read from files.
const staticName = ".static.k8s.io"

const staticReserved = `names ending with ".static.k8s.io" are reserved for static manifest-based configurations and cannot be managed via the API`

// validPolicyStatus checks what a type checker tells of a policy.
func validPolicyStatus(s *admissionregistration.ValidatingAdmissionPolicyStatus, path *field.Path) (errs field.ErrorList) {
	if s.TypeChecking != nil {
		for i, w := range s.TypeChecking.ExpressionWarnings {
			at := path.Child("typeChecking", "expressionWarnings").Index(i)
			if w.Warning == "" {
				errs = append(errs, field.Required(at.Child("warning"), ""))
			}
			errs = append(errs, validFieldRef(w.FieldRef, at.Child("fieldRef"))...)
		}
	}
	return append(errs, metav1validation.ValidateConditions(s.Conditions, path.Child("conditions"))...)
}

func validFieldRef(ref string, path *field.Path) field.ErrorList {
	ref = strings.TrimSpace(ref)
	if ref == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	if err := jsonpath.New("spec").Parse("{" + ref + "}"); err != nil {
		return field.ErrorList{field.Invalid(path, ref, fmt.Sprintf("invalid JSONPath: %v", err))}
	}
	return nil
}
