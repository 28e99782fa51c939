package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
	"minato.dev/minato/internal/store"
)

// statusOf is the Status that tells a client of err.
func statusOf(err error) *metav1.Status {
	var as apierrors.APIStatus
	if errors.As(err, &as) {
		st := as.Status()
		st.Kind, st.APIVersion = "Status", "v1"
		if st.Status == "" {
			st.Status = metav1.StatusFailure
		}
		if st.Code == 0 {
			st.Code = http.StatusInternalServerError
		}
		return &st
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return statusOf(timedOut(err))
	case errors.Is(err, store.ErrTooLarge):
		return failure(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, fmt.Sprintf("etcdserver: request is too large: "+
			"an object of at most %d bytes can be stored: %v; split it into several objects", store.MaxValueBytes, err))
	case errors.Is(err, store.ErrNoSpace):
		return failure(http.StatusInsufficientStorage, metav1.StatusReasonInternalError, "etcdserver: mvcc: database space exceeded: "+err.Error()+
			"; free disk space below the data directory, or delete objects that nobody needs, and try again")
	case errors.Is(err, store.ErrUnavailable):
		st := failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, err.Error()+"; try again, and look at the disk or at etcd's other members where it lasts")
		st.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
		return st
	case errors.Is(err, cache.ErrClosed), errors.Is(err, store.ErrClosed):
		return statusOf(apierrors.NewServiceUnavailable("the server is shutting down"))
	}
	return failure(http.StatusInternalServerError, metav1.StatusReasonUnknown, err.Error())
}

func failure(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}
}

// writeStatus answers r with err in the encoding that r asked for, JSON where it asked for none that fits.
func writeStatus(w http.ResponseWriter, r *http.Request, err error) {
	st := statusOf(err)
	if st.Details != nil && st.Details.RetryAfterSeconds > 0 && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", strconv.Itoa(int(st.Details.RetryAfterSeconds)))
	}
	out, bad := negotiate.Choose(r, false)
	if bad != nil || out.Shape != negotiate.Whole { // an error has no other shape
		out = negotiate.Output{Media: negotiate.JSON}
	}
	body, encodeErr := encodeWhole(st, statusKind, out)
	if encodeErr != nil {
		http.Error(w, st.Message, int(st.Code))
		return
	}
	writeBody(w, r, int(st.Code), string(out.Media), body)
}

var statusKind = schema.GroupVersionKind{Version: "v1", Kind: "Status"}

// noSpecials keeps error texts from looking like HTML.
var noSpecials = strings.NewReplacer(`&`, "&amp;", `<`, "&lt;", `>`, "&gt;")

// forbidden is upstream's answer to a refused request.
func forbidden(a authorizer.Attributes, reason string) error {
	text := noSpecials.Replace(forbiddenText(a))
	if reason != "" {
		text += ": " + reason
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: a.GetAPIGroup(), Resource: a.GetResource()}, a.GetName(), errors.New(text))
}

// refuse answers a request that its sender may not make.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	writeStatus(w, r, err)
}

func forbiddenText(a authorizer.Attributes) string {
	name := ""
	if u := a.GetUser(); u != nil {
		name = u.GetName()
	}
	if !a.IsResourceRequest() {
		return fmt.Sprintf("User %q cannot %s path %q", name, a.GetVerb(), a.GetPath())
	}
	resource := a.GetResource()
	if sub := a.GetSubresource(); sub != "" {
		resource += "/" + sub
	}
	where := "at the cluster scope"
	if ns := a.GetNamespace(); ns != "" {
		where = fmt.Sprintf("in the namespace %q", ns)
	}
	return fmt.Sprintf("User %q cannot %s resource %q in API group %q %s", name, a.GetVerb(), resource, a.GetAPIGroup(), where)
}

// methodNotAllowed and notServed are the router's own answers, outside any kind.
func methodNotAllowed() error {
	return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, "", schema.GroupResource{}, "", "405: Method Not Allowed", 0, false)
}

func notServed() error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "404: Page Not Found", 0, false)
}
