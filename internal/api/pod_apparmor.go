package api

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

// appArmorFromAnnotations fills a container's appArmorProfile from the annotation that older clients still set.
func appArmorFromAnnotations(p *core.Pod) {
	if isWindows(p) {
		return
	}
	for c := range podutil.ContainerIter(&p.Spec, podutil.AllFeatureEnabledContainers()) {
		profile, has := annotatedProfile(p, c)
		if !has || profile == nil || hasProfile(c) || sameValue(profile, podProfile(p)) {
			continue
		}
		if c.SecurityContext == nil {
			c.SecurityContext = &core.SecurityContext{}
		}
		c.SecurityContext.AppArmorProfile = profile
	}
}

// appArmorWarnings runs after appArmorFromAnnotations: an annotation that equals the container's field was copied from it.
func appArmorWarnings(p *core.Pod) []string {
	if isWindows(p) {
		return nil
	}
	var out []string
	for c := range podutil.ContainerIter(&p.Spec, podutil.AllFeatureEnabledContainers()) {
		profile, has := annotatedProfile(p, c)
		if !has {
			continue
		}
		broken := profile == nil && !hasProfile(c)
		copied := profile != nil && hasProfile(c) && sameValue(profile, c.SecurityContext.AppArmorProfile)
		if broken || copied {
			path := field.NewPath("metadata", "annotations").Key(core.DeprecatedAppArmorAnnotationKeyPrefix + c.Name)
			out = append(out, fmt.Sprintf(`%s: deprecated since v1.30; use the "appArmorProfile" field instead`, path))
		}
	}
	return out
}

// annotatedProfile is nil when the annotation does not hold a valid profile.
func annotatedProfile(p *core.Pod, c *core.Container) (profile *core.AppArmorProfile, has bool) {
	a, has := p.Annotations[core.DeprecatedAppArmorAnnotationKeyPrefix+c.Name]
	if !has {
		return nil, false
	}
	profile = podutil.ApparmorFieldForAnnotation(a)
	if len(validation.ValidateAppArmorProfileField(profile, &field.Path{})) > 0 {
		return nil, true
	}
	return profile, true
}

func hasProfile(c *core.Container) bool {
	return c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil
}

func podProfile(p *core.Pod) *core.AppArmorProfile {
	if p.Spec.SecurityContext == nil {
		return nil
	}
	return p.Spec.SecurityContext.AppArmorProfile
}

func isWindows(p *core.Pod) bool { return p.Spec.OS != nil && p.Spec.OS.Name == core.Windows }
