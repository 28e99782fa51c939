package api

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/validation"
)

func apiService() kind {
	return kind{
		group: apiregistrationGroup,
		name:  "APIService", plural: "apiservices",
		category: "api-extensions",
		cluster:  true,
		prefix:   "apiregistration.k8s.io/apiservices",
		subs: []sub{
			status(&Strategy{
				PrepareForUpdate: prepareUpdate(func(s, old *apiregistration.APIService) {
					s.Spec = old.Spec
					s.Labels, s.Annotations = old.Labels, old.Annotations
					s.Finalizers, s.OwnerReferences = old.Finalizers, old.OwnerReferences
				}),
				ValidateUpdate: func(ctx context.Context, _ *Request, obj, old Object) field.ErrorList {
					return validation.ValidateAPIServiceStatusUpdate(ctx, obj.(*apiregistration.APIService), old.(*apiregistration.APIService))
				},
				RequireResourceVersion: true,
				ResetFields:            []string{"spec", "metadata"},
			}),
		},
		strategy: &Strategy{
			PrepareForCreate: prepare(func(s *apiregistration.APIService) {
				s.Status = apiregistration.APIServiceStatus{}
				if s.Spec.Service == nil { // served by this server itself
					apiregistration.SetAPIServiceCondition(s, apiregistration.NewLocalAvailableAPIServiceCondition())
				}
			}),
			PrepareForUpdate: prepareUpdate(func(s, old *apiregistration.APIService) { s.Status = old.Status }),
			Validate: func(ctx context.Context, _ *Request, obj Object) field.ErrorList {
				return validation.ValidateAPIService(ctx, obj.(*apiregistration.APIService))
			},
			ValidateUpdate: func(ctx context.Context, _ *Request, obj, old Object) field.ErrorList {
				return validation.ValidateAPIServiceUpdate(ctx, obj.(*apiregistration.APIService), old.(*apiregistration.APIService))
			},
			RequireResourceVersion: true,
			ResetFields:            statusField,
		},
		columns: table("Name", "Service", "Available", "Age"),
		row: typed(func(s *apiregistrationv1.APIService, now time.Time) []any {
			service, available := "Local", "Unknown"
			if r := s.Spec.Service; r != nil {
				service = r.Namespace + "/" + r.Name
			}
			for _, c := range s.Status.Conditions {
				if c.Type != apiregistrationv1.Available {
					continue
				}
				available = string(c.Status)
				if c.Status != apiregistrationv1.ConditionTrue && c.Reason != "" {
					available = fmt.Sprintf("%s (%s)", c.Status, c.Reason)
				}
			}
			return []any{s.Name, service, available, age(s.CreationTimestamp, now)}
		}),
	}
}
