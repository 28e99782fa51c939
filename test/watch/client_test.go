package watch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"minato.dev/minato/test/linear"
)

// What is written: ConfigMaps of two namespaces, each with one value and one color.
var (
	namespaces = []string{"east", "west"}
	colors     = []string{"red", "green"}
)

// configMap is what is read of one, or of a Status or a list.
type configMap struct {
	Metadata struct {
		Name, Namespace, ResourceVersion, Continue string
		Labels, Annotations                        map[string]string
	}
	Data   map[string]string
	Reason string
	Items  []configMap
}

func (o *configMap) key() string { return o.Metadata.Namespace + "/" + o.Metadata.Name }
func (o *configMap) item() item  { return item{o.Data["v"], o.Metadata.Labels["color"]} }

func (o *configMap) revision() int64 {
	n, err := strconv.ParseInt(o.Metadata.ResourceVersion, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// item is one object's state.
type item struct{ value, color string }

// A door is how clients reach the server: plain HTTP, so that nothing is tried again behind their backs.
type door struct{ http *http.Client }

func newDoor(dir string, h2 bool) *door {
	t := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2, MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "socket"))
		}}
	if !h2 {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return &door{&http.Client{Transport: t}}
}

// patience is how long a client waits for its answer. A watch is given up when it says nothing for that long: it then
// goes on in another.
const patience = 10 * time.Second

func (d *door) send(ctx context.Context, method, path, contentType string, body any) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://server"+path, payload)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return d.http.Do(req)
}

// get reads one answer; code is 0 where there was none.
func (d *door) get(ctx context.Context, path string) (code int, o configMap) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := d.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return 0, o
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&o) != nil {
		return 0, o
	}
	return resp.StatusCode, o
}

// do makes one request of an object, whose name is namespace/name, and reads its answer.
func (d *door) do(ctx context.Context, in linear.Request, color string) linear.Answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ns, name, _ := cut(in.Name)
	path, contentType := "/api/v1/namespaces/"+ns+"/configmaps", "application/json"
	meta := map[string]any{"name": name, "labels": map[string]string{"color": color}}
	whole := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": map[string]string{"v": in.Value}}
	method, body := http.MethodGet, any(nil)
	switch in.Verb {
	case "create":
		method, body = http.MethodPost, whole
	case "cas":
		meta["resourceVersion"] = in.At.Revision
		method, body, path = http.MethodPut, whole, path+"/"+name
	case "put":
		method, body, path, contentType = http.MethodPatch, whole, path+"/"+name, "application/merge-patch+json"
	case "apply":
		method, body, path, contentType = http.MethodPatch, whole, path+"/"+name+"?fieldManager=applier&force=true", "application/apply-patch+yaml"
	case "delete":
		method, path = http.MethodDelete, path+"/"+name
	case "drop":
		method, path, body = http.MethodDelete, path+"/"+name, map[string]any{"preconditions": map[string]string{"resourceVersion": in.At.Revision}}
	case "sweep":
		method, path = http.MethodDelete, path+"?fieldSelector=metadata.name%3D"+name
	default:
		path += "/" + name
	}
	resp, err := d.send(ctx, method, path, contentType, body)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist): // of the socket
		return linear.Answer{Kind: linear.Unsent}
	case err != nil:
		return linear.Answer{Kind: linear.Unknown, Why: err.Error()}
	}
	defer resp.Body.Close()
	var o configMap
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil {
		return linear.Answer{Kind: linear.Unknown, Why: err.Error()}
	}
	return answer(in, resp.StatusCode, &o)
}

// answer reads what the server says of the object. What it says of itself (5xx, 429) tells nothing.
func answer(in linear.Request, code int, o *configMap) linear.Answer {
	switch {
	case code < 300 && (in.Verb == "delete" || in.Verb == "drop" || in.Verb == "sweep"):
		return linear.Answer{Kind: linear.Done}
	case code < 300:
		return linear.Answer{Kind: linear.Done, Value: o.Data["v"], Revision: o.Metadata.ResourceVersion}
	case code == http.StatusNotFound:
		return linear.Answer{Kind: linear.Absent}
	case code == http.StatusConflict && o.Reason == "AlreadyExists":
		return linear.Answer{Kind: linear.Exists}
	case code == http.StatusConflict:
		return linear.Answer{Kind: linear.Conflict}
	}
	return linear.Answer{Kind: linear.Unknown, Why: fmt.Sprint(code, " ", o.Reason)}
}

func cut(key string) (namespace, name string, ok bool) { return strings.Cut(key, "/") }
