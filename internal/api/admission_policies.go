package api

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
)

const manifestPolicies = "ManifestBasedAdmissionControlConfig"

// staticSuffix refuses, or with the feature off only warns about, names that are kept for policies from files.
func staticSuffix(name string) field.ErrorList {
	if !gate(manifestPolicies) || !strings.HasSuffix(name, staticName) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), name, staticReserved)}
}

func staticSuffixWarnings(name string, update bool) []string {
	if (gate(manifestPolicies) && !update) || !strings.HasSuffix(name, staticName) {
		return nil
	}
	return []string{"metadata.name: " + staticReserved}
}

// mayReadParams lets only those make a policy use parameters of a kind who may read all objects of it themselves.
func (r *Request) mayReadParams(kind *admissionregistration.ParamKind) field.ErrorList {
	if kind == nil || r.isMaster() {
		return nil
	}
	a := Access{Verb: "get", Namespace: "*", Name: "*"}
	a.Group, a.Version, a.Resource = paramResource(kind)
	if r.allowed(a) == nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "paramKind"),
		fmt.Sprintf(`user %v must have "get" permission on all objects of the referenced paramKind (kind=%s, apiVersion=%s)`, r.User.Username, kind.Kind, kind.APIVersion))}
}

// mayReadParam is the same for a binding, which names or selects the parameters. Without knowing the policy's kind it
// asks for all resources.
func (r *Request) mayReadParam(ref *admissionregistration.ParamRef, kind *admissionregistration.ParamKind) field.ErrorList {
	if ref == nil || r.isMaster() {
		return nil
	}
	a := Access{Verb: "get", Group: "*", Version: "*", Resource: "*", Namespace: ref.Namespace, Name: ref.Name}
	if kind != nil {
		a.Group, a.Version, a.Resource = paramResource(kind)
	}
	if ref.Name == "" {
		a.Verb = "list"
	}
	if r.allowed(a) == nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "paramRef"),
		fmt.Sprintf(`user %v does not have "%v" permission on the object referenced by paramRef`, r.User.Username, a.Verb))}
}

// paramResource is "*" where the kind is not one of ours.
func paramResource(kind *admissionregistration.ParamKind) (group, version, resource string) {
	gv, err := schema.ParseGroupVersion(kind.APIVersion)
	if err != nil {
		return "*", "*", "*"
	}
	if known := FindKind(gv.WithKind(kind.Kind)); known != nil {
		return gv.Group, gv.Version, known.Name
	}
	return gv.Group, gv.Version, "*"
}

// isMaster: this group passes every authorization anyway.
func (r *Request) isMaster() bool {
	for _, g := range r.User.Groups {
		if g == "system:masters" {
			return true
		}
	}
	return false
}

func paramKindCell(apiVersion, kind string, set bool) string {
	if !set {
		return "<unset>"
	}
	return apiVersion + "/" + kind
}

// paramKind is that of the policy which a binding names, nil if it cannot be read.
func (r *Request) paramKind(resource, policy string) *admissionregistration.ParamKind {
	if r.PolicyParams == nil {
		return nil
	}
	apiVersion, kind, ok := r.PolicyParams(resource, policy)
	if !ok {
		return nil
	}
	return &admissionregistration.ParamKind{APIVersion: apiVersion, Kind: kind}
}
