package admission

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// audienceAllowed says whether a node may have a token for audiences on behalf of pod: the pod mounts such a token, one of
// its CSI drivers asks for it, or the node may ask for it by RBAC.
func audienceAllowed(ctx context.Context, c *Config, a *Attributes, audiences []string, pod *corev1.Pod) error {
	audience := ""
	switch len(audiences) {
	case 0:
	case 1:
		audience = audiences[0]
	default:
		return a.forbid("node may only request 0 or 1 audiences")
	}
	found, err := podHasAudience(ctx, c, pod, audience)
	if found {
		return nil
	}
	if err != nil {
		return a.forbid("error validating audience %q: %w", audience, err)
	}
	d, _, _ := c.Authorizer.Authorize(ctx, authorizer.AttributesRecord{User: a.User, Verb: "request-serviceaccounts-token-audience",
		APIGroup: a.Resource.Group, APIVersion: a.Resource.Version, Resource: audience, Namespace: a.Namespace, Name: a.Name, ResourceRequest: true})
	if d == authorizer.DecisionAllow {
		return nil
	}
	return a.forbid("%s is not authorized to request tokens for audience %q", a.User.GetName(), audience)
}

func podHasAudience(ctx context.Context, c *Config, pod *corev1.Pod, audience string) (bool, error) {
	var errs []error
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == audience {
					return true, nil
				}
			}
			continue
		}
		driver, err := driverOf(ctx, c, pod, &v)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if driver == "" {
			continue
		}
		d, err := read[*storagev1.CSIDriver](ctx, c.Objects, storagev1.Resource("csidrivers"), "", driver)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, t := range d.Spec.TokenRequests {
			if t.Audience == audience {
				return true, nil
			}
		}
	}
	return false, errors.Join(errs...)
}

// driverOf is the CSI driver behind a volume, "" where there is none.
func driverOf(ctx context.Context, c *Config, pod *corev1.Pod, v *corev1.Volume) (string, error) {
	claim := ""
	switch {
	case v.CSI != nil:
		return v.CSI.Driver, nil
	case v.Ephemeral != nil:
		claim = pod.Name + "-" + v.Name
	case v.PersistentVolumeClaim != nil:
		claim = v.PersistentVolumeClaim.ClaimName
	default:
		return "", nil
	}
	pvc, err := read[*corev1.PersistentVolumeClaim](ctx, c.Objects, claims, pod.Namespace, claim)
	if err != nil {
		return "", fmt.Errorf("volume %s: %w", v.Name, err)
	}
	pv, err := read[*corev1.PersistentVolume](ctx, c.Objects, volumes, "", pvc.Spec.VolumeName)
	if err != nil {
		return "", fmt.Errorf("volume %s: %w", v.Name, err)
	}
	if pv.Spec.CSI == nil {
		return "", nil
	}
	return pv.Spec.CSI.Driver, nil
}
