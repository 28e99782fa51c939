package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"

	"minato.dev/minato/internal/api"
)

// review is a question as it is sent.
type review struct {
	version string // of AdmissionReview; v1 and v1beta1 look alike
	uid     types.UID
	body    []byte
	object  runtime.Object // what is asked about
	kind    schema.GroupVersionKind
}

func newReview(as *admission.VersionedAttributes, q *question) (*review, error) {
	i := slices.IndexFunc(q.versions, func(v string) bool { return v == "v1" || v == "v1beta1" })
	if i < 0 {
		return nil, apierrors.NewInternalError(fmt.Errorf("webhook %q does not accept known AdmissionReview versions (v1, v1beta1)", q.name))
	}
	req := plugincel.CreateAdmissionRequest(as.Attributes, metav1.GroupVersionResource(q.resource), metav1.GroupVersionKind(q.kind))
	r := &review{version: q.versions[i], uid: types.UID(uuid.NewString()), object: as.VersionedObject.Object(), kind: q.kind}
	req.UID = r.uid
	req.Object.Object, req.OldObject.Object = r.object, as.VersionedOldObject.Object()
	var err error
	for _, raw := range []*runtime.RawExtension{&req.Object, &req.OldObject, &req.Options} {
		if raw.Raw == nil && raw.Object != nil {
			body, e := json.Marshal(raw.Object)
			raw.Raw, err = body, errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	r.body, err = json.Marshal(&admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/" + r.version, Kind: "AdmissionReview"}, Request: req})
	return r, err
}

// answer is what a webhook says.
type answer struct {
	allowed  bool
	warnings []string
	status   *metav1.Status
	patch    []byte
}

// read reads the answer to r. What is not in order is an error that says what.
func (r *review) read(body []byte) (*answer, error) {
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, fmt.Errorf("could not decode the answer: %w", err)
	}
	s := got.Response
	if s == nil {
		return nil, errors.New("webhook response was absent")
	}
	if r.version == "v1" {
		if want := "admission.k8s.io/v1"; got.Kind != "AdmissionReview" || got.APIVersion != want {
			return nil, fmt.Errorf("expected webhook response of %s, Kind=AdmissionReview, got %s, Kind=%s", want, got.APIVersion, got.Kind)
		}
		if s.UID != r.uid {
			return nil, fmt.Errorf("expected response.uid=%q, got %q", r.uid, s.UID)
		}
		if (len(s.Patch) > 0) != (s.PatchType != nil) {
			return nil, errors.New("webhook response must have patch and patchType, or neither")
		}
	}
	if s.PatchType != nil && *s.PatchType != admissionv1.PatchTypeJSONPatch {
		return nil, fmt.Errorf("webhook returned unknown patch type %q", *s.PatchType)
	}
	return &answer{s.Allowed, s.Warnings, s.Result, s.Patch}, nil
}

// change is the object as the answer to r wants it, nil where it leaves it alone.
func (a *answer) change(r *review) (runtime.Object, error) {
	if !a.allowed || len(a.patch) == 0 {
		return nil, nil
	}
	patch, err := jsonpatch.DecodePatch(a.patch)
	if err != nil {
		return nil, fmt.Errorf("decode the patch: %w", err)
	}
	if len(patch) == 0 {
		return nil, nil
	}
	if r.object == nil {
		return nil, errors.New("admission webhook attempted to modify the object, which is not supported for this operation")
	}
	was, err := json.Marshal(r.object)
	if err != nil {
		return nil, err
	}
	body, err := patch.Apply(was)
	if err != nil {
		return nil, fmt.Errorf("apply the patch: %w", err)
	}
	obj, _, err := api.DecodeAs(r.kind, body, api.JSON, api.Ignore)
	if err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(r.kind)
	return obj, nil
}

// refusal is the API status of a no.
func (a *answer) refusal(hook string) error {
	st := metav1.Status{}
	if a.status != nil {
		st = *a.status
	}
	st.Code = max(st.Code, http.StatusBadRequest)
	if st.Status == "" || st.Status == metav1.StatusSuccess {
		st.Status = metav1.StatusFailure
	}
	by := fmt.Sprintf("admission webhook %q denied the request", hook)
	switch {
	case st.Message != "":
		st.Message = by + ": " + st.Message
	case st.Reason != "":
		st.Message = by + ": " + string(st.Reason)
	default:
		st.Message = by + " without explanation"
	}
	return &apierrors.StatusError{ErrStatus: st}
}
