package bootstrap

import (
	"maps"
	"strconv"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	flowcontrol "k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
)

// flowControl lists the default flow schemas and priority levels. Mandatory ones are always put back; suggested ones only
// while their annotation says so, or nobody has touched them.
func flowControl() (list []wanted) {
	for _, set := range []struct {
		schemas   []*flowcontrolv1.FlowSchema
		levels    []*flowcontrolv1.PriorityLevelConfiguration
		mandatory bool
	}{
		{flowcontrol.MandatoryFlowSchemas, flowcontrol.MandatoryPriorityLevelConfigurations, true},
		{flowcontrol.SuggestedFlowSchemas, flowcontrol.SuggestedPriorityLevelConfigurations, false},
	} {
		for _, s := range set.schemas {
			s = s.DeepCopy()
			s.Generation = 1
			list = append(list, wanted{flowcontrolv1.Resource("flowschemas"), s, func(have runtime.Object) (Object, string) {
				h := have.(*flowcontrolv1.FlowSchema).DeepCopy()
				return reviseFlow(h, set.mandatory, !equality.Semantic.DeepEqual(h.Spec, s.Spec), func() { h.Spec = *s.Spec.DeepCopy() }), ""
			}})
		}
		for _, l := range set.levels {
			l = l.DeepCopy()
			l.Generation = 1
			list = append(list, wanted{flowcontrolv1.Resource("prioritylevelconfigurations"), l, func(have runtime.Object) (Object, string) {
				h := have.(*flowcontrolv1.PriorityLevelConfiguration).DeepCopy()
				return reviseFlow(h, set.mandatory, !equality.Semantic.DeepEqual(h.Spec, l.Spec), func() { h.Spec = *l.Spec.DeepCopy() }), ""
			}})
		}
	}
	return list
}

// reviseFlow puts the spec back where that is due, and writes into the annotation whether it will be.
func reviseFlow(have Object, mandatory, differs bool, replace func()) Object {
	auto := mandatory || autoUpdated(have)
	was, err := strconv.ParseBool(have.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey])
	if !(auto && differs) && err == nil && was == auto {
		return nil
	}
	if auto && differs {
		replace()
		have.SetGeneration(have.GetGeneration() + 1)
	}
	a := maps.Clone(have.GetAnnotations())
	if a == nil {
		a = map[string]string{}
	}
	a[flowcontrolv1.AutoUpdateAnnotationKey] = strconv.FormatBool(auto)
	have.SetAnnotations(a)
	return have
}

// autoUpdated reads the annotation; without a readable one, an object of the first generation was not touched.
func autoUpdated(o metav1.Object) bool {
	if auto, err := strconv.ParseBool(o.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey]); err == nil {
		return auto
	}
	return o.GetGeneration() == 1
}
