package api

import (
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

func validValidatingPolicy(p *admissionregistration.ValidatingAdmissionPolicy) field.ErrorList {
	errs, spec, path := validName(&p.ObjectMeta), &p.Spec, field.NewPath("spec")
	errs = append(errs, validPolicyBase(path, spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, spec.MatchConditions, spec.Variables)...)
	if len(spec.Validations) == 0 && len(spec.AuditAnnotations) == 0 {
		const need = "validations or auditAnnotations must contain at least one item"
		return append(errs, field.Required(path.Child("validations"), need), field.Required(path.Child("auditAnnotations"), need))
	}
	for i := range spec.Validations {
		errs = append(errs, validPolicyRule(path.Child("validations").Index(i), &spec.Validations[i])...)
	}
	return append(errs, validAuditAnnotations(path.Child("auditAnnotations"), p.Name, spec.AuditAnnotations)...)
}

// validPolicyBase is what validating and mutating policies share.
func validPolicyBase(path *field.Path, failure *admissionregistration.FailurePolicyType, kind *admissionregistration.ParamKind, match *admissionregistration.MatchResources,
	conditions []admissionregistration.MatchCondition, variables []admissionregistration.Variable) field.ErrorList {
	errs := oneOf(path.Child("failurePolicy"), failure, true, admissionregistration.Ignore, admissionregistration.Fail)
	errs = append(errs, validParamKind(path.Child("paramKind"), kind)...)
	if match == nil {
		errs = append(errs, field.Required(path.Child("matchConstraints"), ""))
	} else if len(match.ResourceRules) == 0 {
		errs = append(errs, field.Required(path.Child("matchConstraints", "resourceRules"), ""))
	}
	errs = append(errs, validMatch(path.Child("matchConstraints"), match)...)
	errs = append(errs, validConditions(path.Child("matchConditions"), conditions)...)
	for i, v := range variables {
		errs = append(errs, validVariable(path.Child("variables").Index(i), v)...)
	}
	return errs
}

// celReserved cannot be names in CEL.
var celReserved = []string{"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}

var celName = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

func validVariable(path *field.Path, v admissionregistration.Variable) field.ErrorList {
	var errs field.ErrorList
	switch {
	case strings.TrimSpace(v.Name) == "":
		errs = append(errs, field.Required(path.Child("name"), "name is not specified"))
	case !celName.MatchString(v.Name) || slices.Contains(celReserved, v.Name):
		errs = append(errs, field.Invalid(path.Child("name"), v.Name, "must be a valid CEL identifier"))
	}
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(path.Child("expression"), "expression is not specified"))
	}
	return errs
}

func validPolicyRule(path *field.Path, v *admissionregistration.Validation) field.ErrorList {
	var errs field.ErrorList
	blank := func(s string) bool { return s != "" && strings.TrimSpace(s) == "" }
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(path.Child("expression"), "expression is not specified"))
	}
	if blank(v.MessageExpression) {
		errs = append(errs, field.Invalid(path.Child("messageExpression"), v.MessageExpression, "must be non-empty if specified"))
	}
	switch {
	case blank(v.Message):
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, "must be non-empty if specified"))
	case strings.ContainsAny(strings.TrimSpace(v.Message), "\n\r"):
		errs = append(errs, field.Invalid(path.Child("message"), v.Message, "must not contain line breaks"))
	}
	return append(errs, oneOf(path.Child("reason"), v.Reason, false, metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge)...)
}

func validAuditAnnotations(path *field.Path, policy string, list []admissionregistration.AuditAnnotation) field.ErrorList {
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
		if len(policy) > 0 {
			for _, msg := range utilvalidation.IsQualifiedName(policy + "/" + a.Key) {
				errs = append(errs, field.Invalid(key, a.Key, msg))
			}
		}
		switch {
		case strings.TrimSpace(a.ValueExpression) == "":
			errs = append(errs, field.Required(value, "valueExpression is not specified"))
		case len(a.ValueExpression) > longest:
			errs = append(errs, field.Required(value, "must not exceed 5kB in length"))
		}
	}
	return errs
}

func validMutatingPolicy(p *admissionregistration.MutatingAdmissionPolicy) field.ErrorList {
	errs, spec, path := validName(&p.ObjectMeta), &p.Spec, field.NewPath("spec")
	errs = append(errs, validPolicyBase(path, spec.FailurePolicy, spec.ParamKind, spec.MatchConstraints, spec.MatchConditions, spec.Variables)...)
	errs = append(errs, noDelete(path.Child("matchConstraints"), spec.MatchConstraints)...)
	if len(spec.Mutations) == 0 {
		errs = append(errs, field.Required(path.Child("mutations"), "mutations must contain at least one item"))
	}
	for i := range spec.Mutations {
		errs = append(errs, validMutation(path.Child("mutations").Index(i), &spec.Mutations[i])...)
	}
	return append(errs, oneOf(path.Child("reinvocationPolicy"), &spec.ReinvocationPolicy, true, admissionregistration.NeverReinvocationPolicy, admissionregistration.IfNeededReinvocationPolicy)...)
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

func validMutation(path *field.Path, m *admissionregistration.Mutation) field.ErrorList {
	patch, apply := path.Child("jsonPatch"), path.Child("applyConfiguration")
	var errs field.ErrorList
	switch m.PatchType {
	case admissionregistration.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			errs = append(errs, field.Required(patch, "must be specified when patchType is JSONPatch"))
		} else if strings.TrimSpace(m.JSONPatch.Expression) == "" {
			errs = append(errs, field.Required(patch.Child("expression"), "expression is not specified"))
		}
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Invalid(apply, "{applyConfiguration}", "must not be specified when patchType is JSONPatch"))
		}
	case admissionregistration.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			errs = append(errs, field.Required(apply, "must be specified when patchType is ApplyConfiguration"))
		} else if strings.TrimSpace(m.ApplyConfiguration.Expression) == "" {
			errs = append(errs, field.Required(apply.Child("expression"), "expression is not specified"))
		}
		if m.JSONPatch != nil {
			errs = append(errs, field.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration"))
		}
	default:
		return oneOf(path.Child("patchType"), &m.PatchType, true, admissionregistration.PatchTypeApplyConfiguration, admissionregistration.PatchTypeJSONPatch)
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
