package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"minato.dev/minato/bench/sides"
)

// verb is one thing to do to an object; reach is how many times less server CPU ours is to take.
type verb struct {
	name  string
	reach float64
	do    func(ctx context.Context, c *http.Client, url, name string) error
}

// verbs in the order of a round: each finds the ConfigMap that the first has created.
var verbs = []verb{
	{"create", 3, create},
	{"get", 4, get},
	{"merge patch", 3, mergePatch},
	{"update", 0, update},
	{"apply", 3, apply},
	{"apply again, another value", 3, applyAgain},
	{"status update of a Pod", 3, status},
}

const path, podPath = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods/bench"

var data = strings.Repeat("0123456789abcdef", 64)

func configMap(name, more string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"value":%q%s}}`, name, data, more)
}

func create(ctx context.Context, c *http.Client, url, name string) error {
	return do(ctx, c, http.MethodPost, url+path, "application/json", configMap(name, ""), http.StatusCreated)
}

func get(ctx context.Context, c *http.Client, url, name string) error {
	return do(ctx, c, http.MethodGet, url+path+"/"+name, "", "", http.StatusOK)
}

func mergePatch(ctx context.Context, c *http.Client, url, name string) error {
	return do(ctx, c, http.MethodPatch, url+path+"/"+name, "application/merge-patch+json", `{"data":{"patched":"yes"}}`, http.StatusOK)
}

func update(ctx context.Context, c *http.Client, url, name string) error {
	return do(ctx, c, http.MethodPut, url+path+"/"+name, "application/json", configMap(name, `,"patched":"no"`), http.StatusOK)
}

func apply(ctx context.Context, c *http.Client, url, name string) error {
	return applied(ctx, c, url, name, "a")
}

func applyAgain(ctx context.Context, c *http.Client, url, name string) error {
	return applied(ctx, c, url, name, "b")
}

func applied(ctx context.Context, c *http.Client, url, name, value string) error {
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{"app":"bench"}},"data":{"applied":%q}}`, name, value)
	return do(ctx, c, http.MethodPatch, url+path+"/"+name+"?fieldManager=bench-apply", "application/apply-patch+yaml", body, http.StatusOK)
}

// podText is a Pod that no scheduler answers for, as complete as a template of a Deployment; its status changes with name.
func podText(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bench","namespace":"default","labels":{"app":"web"}},"spec":{"schedulerName":"nobody",`+
		`"containers":[{"name":"web","image":"registry.example/team/web:1.27","args":["--listen=:8080"],"ports":[{"containerPort":8080}],"env":[{"name":"MODE","value":"production"}],`+
		`"resources":{"limits":{"memory":"256Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},"readinessProbe":{"httpGet":{"path":"/readyz","port":8080}}}]},`+
		`"status":{"phase":"Pending","message":%q,"conditions":[{"type":"Ready","status":"False","message":%q},{"type":"PodScheduled","status":"True"}],`+
		`"containerStatuses":[{"name":"web","image":"registry.example/team/web:1.27","imageID":"","ready":false,"restartCount":0,"state":{"waiting":{"reason":"ContainerCreating"}}}]}}`, name, name)
}

// preparePod creates the Pod whose status is updated.
func preparePod(ctx context.Context, s *sides.Side) error {
	c := s.Client(false)
	defer c.CloseIdleConnections()
	account := "/api/v1/namespaces/default/serviceaccounts"
	err := do(ctx, c, http.MethodGet, s.URL+account+"/default", "", "", http.StatusOK)
	if err != nil { // upstream's API server alone has nobody to make it; ours may just be making it
		err = do(ctx, c, http.MethodPost, s.URL+account, "application/json", `{"metadata":{"name":"default"}}`, http.StatusCreated)
		if err != nil && do(ctx, c, http.MethodGet, s.URL+account+"/default", "", "", http.StatusOK) != nil {
			return err
		}
	}
	return do(ctx, c, http.MethodPost, s.URL+strings.TrimSuffix(podPath, "/bench"), "application/json", podText(""), http.StatusCreated)
}

func status(ctx context.Context, c *http.Client, url, name string) error {
	return do(ctx, c, http.MethodPut, url+podPath+"/status", "application/json", podText(name), http.StatusOK)
}

func do(ctx context.Context, c *http.Client, method, url, contentType, body string, want int) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s: %.300s", resp.Status, b)
	}
	return err
}
