package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

func customResourceDefinition() kind {
	return kind{
		group: apiextensionsGroup,
		name:  "CustomResourceDefinition", plural: "customresourcedefinitions",
		short:    []string{"crd", "crds"},
		category: "api-extensions",
		cluster:  true,
		prefix:   "apiextensions.k8s.io/customresourcedefinitions",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(c, old *apiextensions.CustomResourceDefinition) { c.Spec = old.Spec }),
				ValidateUpdate: func(ctx context.Context, _ *Request, obj, old Object) field.ErrorList {
					return validation.ValidateUpdateCustomResourceDefinitionStatus(ctx, obj.(*apiextensions.CustomResourceDefinition), old.(*apiextensions.CustomResourceDefinition))
				},
				RequireResourceVersion: true,
				ResetFields:            specField,
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(c *apiextensions.CustomResourceDefinition) {
				c.Status = apiextensions.CustomResourceDefinitionStatus{}
				c.Generation = 1
				recordStored(c)
				dropDefinitionFields(c, &apiextensions.CustomResourceDefinition{})
			}),
			PrepareForUpdate: prepareUpdate(func(c, old *apiextensions.CustomResourceDefinition) {
				c.Status = old.Status
				bump(c, old, c.Spec, old.Spec)
				recordStored(c)
				dropDefinitionFields(c, old)
			}),
			Validate: func(ctx context.Context, _ *Request, obj Object) field.ErrorList {
				return validation.ValidateCustomResourceDefinition(ctx, obj.(*apiextensions.CustomResourceDefinition))
			},
			ValidateUpdate: func(ctx context.Context, _ *Request, obj, old Object) field.ErrorList {
				return validation.ValidateCustomResourceDefinitionUpdate(ctx, obj.(*apiextensions.CustomResourceDefinition), old.(*apiextensions.CustomResourceDefinition))
			},
			Warnings:               warn(definitionWarnings),
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		columns: table("Name", "Scope", "Versions", "Created At%", "Group+", "Kind+", "ShortNames+", "Established?+"),
		row:     typed(definitionRow),
	}
}

func definitionRow(c *apiextensionsv1.CustomResourceDefinition, _ time.Time) []any {
	var versions []string
	for _, v := range c.Spec.Versions {
		if !v.Served {
			continue
		}
		if v.Storage {
			v.Name += "(storage)"
		}
		versions = append(versions, v.Name)
	}
	slices.Sort(versions)
	established := slices.ContainsFunc(c.Status.Conditions, func(x apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return x.Type == apiextensionsv1.Established && x.Status == apiextensionsv1.ConditionTrue
	})
	return []any{c.Name, string(c.Spec.Scope), strings.Join(versions, ","), c.CreationTimestamp.Time.UTC().Format(time.RFC3339),
		c.Spec.Group, c.Spec.Names.Kind, strings.Join(c.Spec.Names.ShortNames, ","), established}
}

// recordStored remembers that objects may now be stored in the definition's storage version.
func recordStored(c *apiextensions.CustomResourceDefinition) {
	for _, v := range c.Spec.Versions {
		if v.Storage {
			if !apiextensions.IsStoredVersion(c, v.Name) {
				c.Status.StoredVersions = append(c.Status.StoredVersions, v.Name)
			}
			return
		}
	}
}

// dropDefinitionFields clears the one field whose feature is not always on, unless it is in use.
func dropDefinitionFields(c, old *apiextensions.CustomResourceDefinition) {
	if gate("CRDObservedGenerationTracking") || tracksGeneration(&old.Status) {
		return
	}
	c.Status.ObservedGeneration = 0
	for i := range c.Status.Conditions {
		c.Status.Conditions[i].ObservedGeneration = 0
	}
}

func tracksGeneration(s *apiextensions.CustomResourceDefinitionStatus) bool {
	return s.ObservedGeneration != 0 || slices.ContainsFunc(s.Conditions, func(c apiextensions.CustomResourceDefinitionCondition) bool { return c.ObservedGeneration != 0 })
}

// definitionWarnings tells of formats that nothing checks and sets that nothing can merge; on update only of new ones.
func definitionWarnings(_ context.Context, c, old *apiextensions.CustomResourceDefinition) []string {
	w := schemaWarnings(&c.Spec)
	if old == nil {
		return w
	}
	had := schemaWarnings(&old.Spec)
	return slices.DeleteFunc(w, func(s string) bool { return slices.Contains(had, s) })
}

func schemaWarnings(s *apiextensions.CustomResourceDefinitionSpec) []string {
	var formats, sets []string
	look := func(p *apiextensions.JSONSchemaProps) bool {
		formats = append(formats, formatWarnings(p)...)
		sets = append(sets, setWarnings(p)...)
		return false
	}
	if s.Validation != nil && s.Validation.OpenAPIV3Schema != nil {
		validation.SchemaHas(s.Validation.OpenAPIV3Schema, look)
	}
	for _, v := range s.Versions {
		if v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
			validation.SchemaHas(v.Schema.OpenAPIV3Schema, look)
		}
	}
	slices.Sort(sets)
	return append(formats, slices.Compact(sets)...)
}

func formatWarnings(p *apiextensions.JSONSchemaProps) []string {
	if p.Format == "" {
		return nil
	}
	s := &spec.Schema{SchemaProps: spec.SchemaProps{Format: p.Format, Type: []string{p.Type}}}
	var w []string
	for _, f := range apiservervalidation.GetUnrecognizedFormats(s, environment.DefaultCompatibilityVersion()) {
		w = append(w, fmt.Sprintf("unrecognized format %q", f))
	}
	return w
}

func setWarnings(p *apiextensions.JSONSchemaProps) []string {
	if p.XListType == nil || *p.XListType != "set" || p.Items == nil || p.Items.Schema == nil {
		return nil
	}
	t := p.Items.Schema.Type
	if t != "object" && t != "array" {
		return nil
	}
	return []string{fmt.Sprintf("x-kubernetes-list-type: set for items of type %q is not supported by server-side apply or CEL validation rules", t)}
}
