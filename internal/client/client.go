// Package client is the one door to the API: typed requests and shared views over HTTPS or in process.
//
// Controllers, scheduler, kubelet, proxy, DNS and the command line all come through here. In process the RoundTripper
// is the API server's own (apiserver.InProcess): the same authentication, authorisation and admission, without a
// socket. Everything is safe for concurrent use. Objects that a View hands out are shared: copy before changing.
// To test against it, start the real API server on the memory store (package apiservertest).
package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The media types of the API: protobuf for built-in kinds, JSON for everything else.
const (
	protobufType = "application/vnd.kubernetes.protobuf"
	jsonType     = "application/json"
)

// Client sends requests to one API server as one identity.
type Client struct {
	base  string
	http  http.RoundTripper
	agent string
	told  func(method string, code int, took time.Duration)
}

// New returns a client for the server at base ("https://host:port", no path), which rt reaches and authenticates to.
func New(base string, rt http.RoundTripper, userAgent string) *Client {
	return &Client{base: strings.TrimSuffix(base, "/"), http: rt, agent: userAgent}
}

// Telling returns c with each of its requests told to f: code is 0 where there was no answer.
func (c *Client) Telling(f func(method string, code int, took time.Duration)) *Client {
	told := *c
	told.told = f
	return &told
}

// Request is one call. Body is an encoded object or patch.
type Request struct {
	Method      string
	Path        string // starts with "/api" or "/apis", or is any other path of the server
	Query       url.Values
	ContentType string
	Accept      string
	Body        []byte
}

// Do sends r and returns the open response of a success. Any other status becomes an *apierrors.StatusError.
func (c *Client) Do(ctx context.Context, r Request) (*http.Response, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, statusError(resp, r)
}

// send makes one round trip and tells of it.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	if c.told == nil {
		return c.http.RoundTrip(req)
	}
	began := time.Now()
	resp, err := c.http.RoundTrip(req)
	code := 0
	if err == nil {
		code = resp.StatusCode
	}
	c.told(req.Method, code, time.Since(began))
	return resp, err
}

// request is r as it goes to the server.
func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	u := c.base + r.Path
	if len(r.Query) > 0 {
		u += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, u, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", r.Accept)
	if r.Accept == "" {
		req.Header.Set("Accept", protobufType+", "+jsonType)
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	return req, nil
}

// statusError reads the Status of a refused request.
func statusError(resp *http.Response, r Request) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if obj, _, err := builtin().UniversalDeserializer().Decode(body, nil, nil); err == nil {
		if st, ok := obj.(*metav1.Status); ok {
			return apierrors.FromObject(st)
		}
	}
	wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return apierrors.NewGenericServerResponse(resp.StatusCode, r.Method, schema.GroupResource{}, r.Path, string(body), wait, true)
}

// into sends r and decodes the answer.
func (c *Client) into(ctx context.Context, r Request, d runtime.Decoder) (runtime.Object, error) {
	resp, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: read answer: %w", r.Method, r.Path, err)
	}
	obj, _, err := d.Decode(body, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s: decode answer: %w", r.Method, r.Path, err)
	}
	return obj, nil
}

// Post sends obj, encoded in version gv, to path and ignores the answer's object: for bindings and evictions, whose
// answer is a Status.
func Post(ctx context.Context, c *Client, path string, gv schema.GroupVersion, obj runtime.Object) error {
	body, err := runtime.Encode(builtin().EncoderForVersion(wire(), gv), obj)
	if err != nil {
		return fmt.Errorf("POST %s: encode: %w", path, err)
	}
	resp, err := c.Do(ctx, Request{Method: http.MethodPost, Path: path, ContentType: protobufType, Body: body})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
