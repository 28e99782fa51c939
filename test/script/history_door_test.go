package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"minato.dev/minato/test/linear"
)

// door is how the history's clients reach the API: plain HTTP, so that nothing is tried again behind their backs.
type door struct {
	base string
	http *http.Client
}

func doorOf(ts *testscript.TestScript) *door {
	config, err := clientcmd.BuildConfigFromFlags("", ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	transport, err := rest.TransportFor(config)
	ts.Check(err)
	return &door{base: config.Host + "/api/v1/namespaces/default/configmaps", http: &http.Client{Transport: transport}}
}

// patience is how long a client waits for its answer.
const patience = 3 * time.Second

// do makes one request and reads its answer.
func (d *door) do(ctx context.Context, in linear.Request) linear.Answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := d.send(ctx, in)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return linear.Answer{Kind: linear.Unsent, Why: err.Error()}
	case err != nil:
		return linear.Answer{Kind: linear.Unknown, Why: err.Error()}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return linear.Answer{Kind: linear.Unknown, Why: err.Error()}
	}
	return read(in, resp.StatusCode, raw)
}

func (d *door) send(ctx context.Context, in linear.Request) (*http.Response, error) {
	method, at, contentType := http.MethodGet, d.base+"/"+in.Name, "application/json"
	var body any
	meta := map[string]string{"name": in.Name}
	switch in.Verb {
	case "create":
		method, at, body = http.MethodPost, d.base, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data(in)}
	case "cas":
		meta["resourceVersion"] = in.At.Revision
		method, body = http.MethodPut, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data(in)}
	case "put":
		method, contentType, body = http.MethodPatch, "application/merge-patch+json", map[string]any{"data": data(in)}
	case "delete":
		method = http.MethodDelete
	}
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	return d.http.Do(req)
}

func data(in linear.Request) map[string]string { return map[string]string{"v": in.Value} }

// configMap is what the history reads of one.
type configMap struct {
	Metadata struct{ Name, ResourceVersion string }
	Data     map[string]string
	Reason   string // of a Status
}

// read turns a response into an answer. What the server says of itself (5xx, 429) tells nothing of the object.
func read(in linear.Request, code int, raw []byte) linear.Answer {
	var o configMap
	if err := json.Unmarshal(raw, &o); err != nil {
		return linear.Answer{Kind: linear.Unknown, Why: err.Error()}
	}
	switch {
	case code < 300 && in.Verb == "delete":
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
	return linear.Answer{Kind: linear.Unknown, Why: fmt.Sprintf("%d %s", code, raw)}
}
