package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/apiserver/patch"
)

// patchTypes are the media types of patches, as the error for others lists them.
var patchTypes = []string{string(types.JSONPatchType), string(types.MergePatchType), string(types.StrategicMergePatchType), string(types.ApplyYAMLPatchType)}

// patchCall is one patch on its way: the same body may have to be applied to several states.
type patchCall struct {
	*call
	kind    types.PatchType
	body    []byte
	options *metav1.PatchOptions
	strict  bool // look for unknown fields
}

// patch changes an object by a patch of one of four types; an apply patch makes the object where there is none.
func (c *call) patch() error {
	p, err := c.newPatch()
	if err != nil {
		return err
	}
	wo := writeOptions{options: asUpdate(p.options), dryRun: isDryRun(p.options.DryRun), mayCreate: c.mayCreate}
	wo.create = p.kind == types.ApplyYAMLPatchType && c.sub == nil
	w, err := c.mutate(wo, p.edit)
	if err != nil {
		return err
	}
	if w.created {
		return c.answerWritten(http.StatusCreated, w)
	}
	return c.answerWritten(http.StatusOK, w)
}

func asUpdate(p *metav1.PatchOptions) *metav1.UpdateOptions {
	return &metav1.UpdateOptions{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "UpdateOptions"}, DryRun: p.DryRun,
		FieldManager: p.FieldManager, FieldValidation: p.FieldValidation}
}

// newPatch reads the request's type, body and options.
func (c *call) newPatch() (*patchCall, error) {
	p := &patchCall{call: c}
	t, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	p.kind = types.PatchType(strings.TrimSpace(t))
	if !slices.Contains(patchTypes, string(p.kind)) {
		return nil, negotiate.Unsupported(patchTypes...)
	}
	var err error
	if p.body, err = c.body(); err != nil {
		return nil, err
	}
	if p.options, err = c.patchOptions(p.kind); err != nil {
		return nil, err
	}
	p.strict = fieldValidation(p.options.FieldValidation) != api.Ignore
	if p.kind != types.ApplyYAMLPatchType {
		return p, patch.Check(p.body)
	}
	if _, plain := patch.PlainJSON(p.body); plain {
		return p, nil
	}
	if _, err := yaml.ToJSON(p.body); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error encoding patch: %v", err))
	}
	return p, nil
}

// edit applies the patch to one state.
func (p *patchCall) edit(old api.Object) (api.Object, error) {
	obj, err := p.apply(old)
	if err != nil {
		return nil, err
	}
	if old == nil && obj.GetUID() != "" {
		return nil, apierrors.NewConflict(p.gr(), p.info.Name, fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", obj.GetUID()))
	}
	if p.res.Namespaced && obj.GetNamespace() != "" && obj.GetNamespace() != p.info.Namespace {
		return nil, apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return obj, p.sameName(obj)
}

func (p *patchCall) apply(old api.Object) (api.Object, error) {
	if p.kind == types.ApplyYAMLPatchType {
		return p.applyConfiguration(old)
	}
	if old == nil {
		return nil, apierrors.NewNotFound(p.gr(), p.info.Name)
	}
	var obj api.Object
	var err error
	if p.kind == types.StrategicMergePatchType {
		obj, err = p.strategic(old)
	} else {
		obj, err = p.document(old)
	}
	if err != nil {
		return nil, err
	}
	return p.own(obj, old, p.options.FieldManager)
}

// document applies a JSON or merge patch to the object as JSON, and reads the result as a body would be read.
func (p *patchCall) document(old api.Object) (api.Object, error) {
	item, err := p.shown(old)
	if err != nil {
		return nil, err
	}
	doc := nameJSON(item, p.res.GVK())
	apply := patch.Merge
	if p.kind == types.JSONPatchType {
		apply = patch.JSON
	}
	patched, unknown, err := apply(doc, p.body, p.strict)
	if err != nil {
		return nil, err
	}
	obj, more, err := p.decodePatched(patched)
	if err != nil {
		return nil, err
	}
	if err := p.complain(append(unknown, more...), string(patched)); err != nil {
		return nil, err
	}
	return obj, nil
}

// decodePatched reads a patched document; what is wrong with it is the patch's fault.
func (p *patchCall) decodePatched(doc []byte) (api.Object, []error, error) {
	v := api.Warn
	if !p.strict {
		v = api.Ignore
	}
	obj, warned, err := p.res.Decode(doc, api.JSON, v)
	if err != nil {
		return nil, nil, p.invalid(string(doc), strings.TrimPrefix(err.Error(), fmt.Sprintf("%s in version %q cannot be handled as a %s: ",
			p.res.Kind, p.res.GroupVersion.Version, p.res.Kind)))
	}
	var unknown []error
	for _, w := range warned {
		unknown = append(unknown, fmt.Errorf("%s", w))
	}
	return obj, unknown, nil
}

// shown is the object in JSON without its kind: made of the stored bytes where old is just what they say.
func (p *patchCall) shown(old api.Object) ([]byte, error) {
	if p.state != nil && p.state.obj.GetResourceVersion() == old.GetResourceVersion() {
		if item := p.transcodedState(p.state, old.GetResourceVersion()); item != nil {
			return item, nil
		}
	}
	shown, err := p.res.toVersion(copyOf(old))
	if err != nil {
		return nil, err
	}
	return encodeItem(shown)
}

func (p *patchCall) invalid(value, text string) error {
	return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), value, text)})
}

// complain turns unknown fields into warnings or, where the client wants that, an error.
func (p *patchCall) complain(unknown []error, value string) error {
	if len(unknown) == 0 {
		return nil
	}
	if fieldValidation(p.options.FieldValidation) == api.Strict {
		return p.invalid(value, runtime.NewStrictDecodingError(unknown).Error())
	}
	for _, e := range unknown {
		p.warn.add(e.Error())
	}
	return nil
}

// strategic merges by the rules in the kind's Go type.
func (p *patchCall) strategic(old api.Object) (api.Object, error) {
	shown, err := p.res.toVersion(copyOf(old))
	if err != nil {
		return nil, err
	}
	into, err := p.res.New()
	if err != nil {
		return nil, err
	}
	unknown, err := patch.Strategic(shown, p.body, into, p.strict)
	if err != nil {
		return nil, err
	}
	if err := p.complain(unknown, shownPatch(p.body)); err != nil {
		return nil, err
	}
	into.GetObjectKind().SetGroupVersionKind(p.res.GVK())
	api.Default(into)
	return p.res.Hub(into)
}

// shownPatch is a strategic patch as upstream's errors show it: as the map that it is read into.
func shownPatch(body []byte) string {
	var m map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &m); err != nil {
		return string(body)
	}
	return fmt.Sprintf("%+v", m)
}

// applyConfiguration merges a configuration with what its manager applied before (server-side apply).
func (p *patchCall) applyConfiguration(old api.Object) (api.Object, error) {
	conf, plain := patch.PlainJSON(p.body)
	if !plain {
		conf = map[string]any{}
		if err := yaml.Unmarshal(p.body, &conf); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
	}
	live := old
	if old == nil {
		empty, err := api.Scheme().New(p.res.Storage)
		if err != nil {
			return nil, err
		}
		live = empty.(api.Object)
		live.GetObjectKind().SetGroupVersionKind(p.res.Storage)
	}
	out, err := p.s.owners.apply(p.res, p.sub, live, conf, p.options.FieldManager, p.options.Force != nil && *p.options.Force)
	if err != nil {
		return nil, err
	}
	if p.strict && !plain {
		if err := yaml.UnmarshalStrict(p.body, &map[string]any{}); err != nil {
			if fieldValidation(p.options.FieldValidation) == api.Strict {
				return nil, apierrors.NewBadRequest(fmt.Sprintf("error strict decoding patch: %v", err))
			}
			for line := range strings.Lines(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: yaml: unmarshal errors:\n")) {
				p.warn.add(strings.TrimSpace(line))
			}
		}
	}
	return out, nil
}
