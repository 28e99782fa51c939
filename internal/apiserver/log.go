package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"minato.dev/minato/internal/api"
)

// log streams a container's log from the kubelet.
func (c *call) log() error {
	o := &corev1.PodLogOptions{}
	if err := c.connectOptions(o); err != nil {
		return err
	}
	if err := validLogOptions(o, c.info.Name); err != nil {
		return err
	}
	u, err := c.logTarget(o)
	if err != nil {
		return err
	}
	if u == nil {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	ctx, gone := context.WithCancel(c.ctx())
	defer gone()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	rt := c.s.kubelet.verify
	if o.InsecureSkipTLSVerifyBackend {
		rt = c.s.kubelet.trust
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return &url.Error{Op: "Get", URL: u.String(), Err: err}
	}
	defer resp.Body.Close()
	if err := kubeletError(resp, c.gr(), c.info.Name); err != nil {
		return err
	}
	if wsstream.IsWebSocketRequest(c.r) {
		return c.sendLog(resp.Body, gone)
	}
	c.passOn(resp.Body)
	return nil
}

// passOn passes a body on as it comes.
func (c *call) passOn(body io.Reader) {
	c.w.Header().Set("Content-Type", "text/plain")
	c.w.WriteHeader(http.StatusOK)
	flusher, _ := c.w.(http.Flusher)
	if flusher != nil {
		flusher.Flush()
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, e := c.w.Write(buf[:n]); e != nil {
				return // the client has gone
			}
			if flusher != nil {
				flusher.Flush()
			}
		}
		if err != nil {
			return
		}
	}
}

func validLogOptions(o *corev1.PodLogOptions, name string) error {
	in, err := api.Internal(o.DeepCopy())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if errs := validation.ValidatePodLogOptions(in.(*core.PodLogOptions), utilfeature.DefaultFeatureGate.Enabled(features.PodLogsQuerySplitStreams)); len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "PodLogOptions"}, name, errs)
	}
	return nil
}

// logTarget is the kubelet's URL for the log; nil where the pod has no node yet, and so no log.
func (c *call) logTarget(o *corev1.PodLogOptions) (*url.URL, error) {
	pod, err := c.pod(c.info.Name)
	if err != nil {
		return nil, err
	}
	path, err := containerPath("containerLogs", pod, o.Container)
	if err != nil || pod.Spec.NodeName == "" {
		return nil, err
	}
	u, err := c.kubeletOf(pod)
	if err != nil {
		return nil, err
	}
	q := url.Values{}
	for name, on := range map[string]bool{"follow": o.Follow, "previous": o.Previous, "timestamps": o.Timestamps} {
		if on {
			q.Set(name, "true")
		}
	}
	for name, n := range map[string]*int64{"sinceSeconds": o.SinceSeconds, "tailLines": o.TailLines, "limitBytes": o.LimitBytes} {
		if n != nil {
			q.Set(name, strconv.FormatInt(*n, 10))
		}
	}
	if o.SinceTime != nil {
		q.Set("sinceTime", o.SinceTime.Format(time.RFC3339))
	}
	if o.Stream != nil {
		q.Set("stream", *o.Stream)
	}
	u.Path, u.RawQuery = path, q.Encode()
	return u, nil
}

// kubeletError turns a kubelet's refusal into an API error with the kubelet's words.
func kubeletError(resp *http.Response, gr schema.GroupResource, name string) error {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 50<<10))
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("read the kubelet's answer: %w", err))
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError:
		return apierrors.NewInternalError(errors.New(string(b)))
	case http.StatusBadRequest:
		return apierrors.NewBadRequest(string(b))
	}
	return apierrors.NewGenericServerResponse(resp.StatusCode, "", gr, name, string(b), 0, false)
}
