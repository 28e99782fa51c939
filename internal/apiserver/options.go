package apiserver

import (
	"net/url"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	internalscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	internalvalidation "k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
)

// parseQuery reads options out of a query; most requests have none.
func parseQuery(q url.Values, into runtime.Object) error {
	if len(q) == 0 {
		return nil
	}
	if err := internalscheme.ParameterCodec.DecodeParameters(q, metav1.SchemeGroupVersion, into); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	return nil
}

// invalidOptions is the error for options that are well-formed and wrong.
func invalidOptions(kind string, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: kind}, "", errs)
}

func (c *call) createOptions() (*metav1.CreateOptions, error) {
	o := &metav1.CreateOptions{}
	if err := parseQuery(c.query, o); err != nil {
		return nil, err
	}
	o.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "CreateOptions"}
	return o, invalidOptions("CreateOptions", validation.ValidateCreateOptions(o))
}

func (c *call) updateOptions() (*metav1.UpdateOptions, error) {
	o := &metav1.UpdateOptions{}
	if err := parseQuery(c.query, o); err != nil {
		return nil, err
	}
	o.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "UpdateOptions"}
	return o, invalidOptions("UpdateOptions", validation.ValidateUpdateOptions(o))
}

func (c *call) patchOptions(t types.PatchType) (*metav1.PatchOptions, error) {
	o := &metav1.PatchOptions{}
	if err := parseQuery(c.query, o); err != nil {
		return nil, err
	}
	o.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PatchOptions"}
	return o, invalidOptions("PatchOptions", validation.ValidatePatchOptions(o, t))
}

// deleteOptions come in the body or, where there is none, in the query.
func (c *call) deleteOptions() (*metav1.DeleteOptions, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	o := &metav1.DeleteOptions{}
	if len(body) == 0 {
		err = parseQuery(c.query, o)
	} else {
		err = decodeDelete(c, body, o)
	}
	if err != nil {
		return nil, err
	}
	o.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "DeleteOptions"}
	return o, invalidOptions("DeleteOptions", validation.ValidateDeleteOptions(o))
}

// decodeDelete reads DeleteOptions that may be named in any group's version.
func decodeDelete(c *call, body []byte, into *metav1.DeleteOptions) error {
	media, err := negotiate.Input(c.r)
	if err != nil {
		return err
	}
	for _, info := range internalscheme.Codecs.SupportedMediaTypes() {
		if info.MediaType != string(media) {
			continue
		}
		gvk := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
		obj, _, err := internalscheme.Codecs.DecoderToVersion(info.Serializer, gvk.GroupVersion()).Decode(body, &gvk, into)
		if err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
		if obj != into {
			return apierrors.NewBadRequest("decoded object cannot be converted to DeleteOptions")
		}
		return nil
	}
	return negotiate.Unsupported(string(negotiate.JSON))
}

// listOptions of a list, a watch or a deletion of a collection, with selectors in the words of the storage version.
func (c *call) listOptions() (*internalversion.ListOptions, error) {
	o := &internalversion.ListOptions{}
	if err := parseQuery(c.query, o); err != nil {
		return nil, err
	}
	if c.info.Verb == "watch" {
		o.Watch = true
	}
	internalversion.SetListOptionsDefaults(o, true)
	if err := invalidOptions("ListOptions", internalvalidation.ValidateListOptions(o, true)); err != nil {
		return nil, err
	}
	if o.FieldSelector != nil {
		sel, err := o.FieldSelector.Transform(c.res.fieldLabel)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		o.FieldSelector = sel
	}
	if c.info.Name == "" || c.info.Verb == "get" {
		return o, nil
	}
	if o.FieldSelector != nil && !o.FieldSelector.Empty() {
		if name, ok := o.FieldSelector.RequiresExactMatch("metadata.name"); !ok || name != c.info.Name {
			return nil, apierrors.NewBadRequest("fieldSelector metadata.name doesn't match requested name")
		}
		return o, nil
	}
	o.FieldSelector = fields.OneTermEqualSelector("metadata.name", c.info.Name)
	return o, nil
}

func (r *resource) fieldLabel(label, value string) (string, string, error) {
	if r.FieldLabel != nil {
		return r.FieldLabel(label, value)
	}
	return runtime.DefaultMetaV1FieldSelectorConversion(label, value)
}

// fieldValidation is what a write's query says of unknown fields.
func fieldValidation(v string) api.FieldValidation {
	if v == "" {
		return api.Warn
	}
	return api.FieldValidation(v)
}

// revisionOf reads a resourceVersion; "" and "0" are 0.
func revisionOf(text string) (int64, error) {
	if text == "" || text == "0" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, field.Invalid(field.NewPath("resourceVersion"), text, (&strconv.NumError{Func: "ParseUint", Num: text, Err: err.(*strconv.NumError).Err}).Error())
	}
	return int64(n), nil
}
