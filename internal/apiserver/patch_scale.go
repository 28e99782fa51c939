package apiserver

import (
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/patch"
)

// scale applies the patch to a Scale.
func (p *patchCall) scale(old *autoscalingv1.Scale) (*autoscalingv1.Scale, error) {
	fm, err := p.s.owners.ofScale()
	if err != nil {
		return nil, err
	}
	if p.kind == types.ApplyYAMLPatchType {
		conf := &unstructured.Unstructured{Object: map[string]any{}}
		if err := yaml.Unmarshal(p.body, &conf.Object); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		out, err := fm.Apply(old, conf, p.options.FieldManager, p.options.Force != nil && *p.options.Force)
		if err != nil {
			return nil, err
		}
		return out.(*autoscalingv1.Scale), nil
	}
	next, err := p.patchedScale(old)
	if err != nil {
		return nil, err
	}
	if err := p.sameName(next); err != nil {
		return nil, err
	}
	return fm.UpdateNoErrors(old, next, p.manager(p.options.FieldManager)).(*autoscalingv1.Scale), nil
}

func (p *patchCall) patchedScale(old *autoscalingv1.Scale) (*autoscalingv1.Scale, error) {
	if p.kind == types.StrategicMergePatchType {
		next := &autoscalingv1.Scale{}
		unknown, err := patch.Strategic(old, p.body, next, p.strict)
		if err != nil {
			return nil, err
		}
		next.SetGroupVersionKind(scaleKind)
		return next, p.complain(unknown, string(p.body))
	}
	item, err := encodeItem(copyOf(old))
	if err != nil {
		return nil, err
	}
	apply := patch.Merge
	if p.kind == types.JSONPatchType {
		apply = patch.JSON
	}
	doc, unknown, err := apply(nameJSON(item, scaleKind), p.body, p.strict)
	if err != nil {
		return nil, err
	}
	v := api.Warn
	if !p.strict {
		v = api.Ignore
	}
	obj, warned, err := api.DecodeAs(scaleKind, doc, api.JSON, v)
	if err != nil {
		return nil, p.invalid(string(doc), err.Error())
	}
	for _, w := range warned {
		unknown = append(unknown, fmt.Errorf("%s", w))
	}
	return obj.(*autoscalingv1.Scale), p.complain(unknown, string(doc))
}
