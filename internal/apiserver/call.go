package apiserver

import (
	"context"
	"io"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/negotiate"
)

// maxBody is the largest request body that is read.
const maxBody = 3 << 20

// call is one request for a resource on its way through a verb.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	info  *request.RequestInfo
	attrs authorizer.Attributes
	user  user.Info
	res   *resource
	sub   *api.Subresource // nil for the object itself
	query url.Values
	out   negotiate.Output
	warn  warnings
	state *state // what a write is changing now, where it exists
}

func (c *call) ctx() context.Context { return c.r.Context() }

// gr is the resource as error messages name it.
func (c *call) gr() schema.GroupResource { return c.res.GroupResource() }

// key is the store's key of the object in the URL.
func (c *call) key() string { return c.res.Key(c.info.Namespace, c.info.Name) }

// body reads the whole request body.
func (c *call) body() ([]byte, error) {
	if c.r.Body == nil {
		return nil, nil
	}
	if c.r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	var b []byte
	var err error
	if n := c.r.ContentLength; n >= 0 {
		b = make([]byte, n)
		_, err = io.ReadFull(c.r.Body, b)
	} else if b, err = io.ReadAll(io.LimitReader(c.r.Body, maxBody+1)); len(b) > maxBody {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, apierrors.NewBadRequest("read request body: " + err.Error())
	}
	return b, nil
}

func tooLarge() error { return apierrors.NewRequestEntityTooLargeError("limit is 3145728") }

// reply answers with an object built for this call, in the version gvk.
func (c *call) reply(code int, obj runtime.Object, gvk schema.GroupVersionKind) error {
	b, err := encodeWhole(obj, gvk, c.out)
	if err != nil {
		return err
	}
	c.send(code, b)
	return nil
}

// send writes the finished body with the call's warnings.
func (c *call) send(code int, parts ...[]byte) {
	c.warn.write(c.w.Header())
	writeBody(c.w, c.r, code, string(c.out.Media), parts...)
}

// success answers with upstream's Status for a verb that returns no object.
func (c *call) success(code int, name string) error {
	return c.reply(code, &metav1.Status{Status: metav1.StatusSuccess, Code: int32(code),
		Details: &metav1.StatusDetails{Name: name, Group: c.res.GroupVersion.Group, Kind: c.res.Name}}, statusKind)
}
