package sides

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// PodsPath is where the pods of benches are.
const PodsPath = "/api/v1/namespaces/default/pods"

// Pod is a pod of the hello image as a bench creates it.
func Pod(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"containers":[
{"name":"hello","image":%q,"imagePullPolicy":"IfNotPresent"}]}}`, name, HelloImage)
}

// PodReady says whether a pod is Running and Ready.
func PodReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return p.Status.Phase == corev1.PodRunning
		}
	}
	return false
}

// FirstPod creates a pod as soon as the API takes one and waits until it is Ready.
func (s *Side) FirstPod(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := s.Client(false)
	defer c.CloseIdleConnections()
	// The default service account is made by a controller, a moment after the start.
	create := func(ctx context.Context) error { return s.Do(ctx, c, http.MethodPost, PodsPath, Pod(name)) }
	if err := until(ctx, create); err != nil {
		return fmt.Errorf("%s: first pod: %w", s.Name, err)
	}
	var p corev1.Pod
	err := until(ctx, func(ctx context.Context) error {
		b, err := get(ctx, c, s.URL+PodsPath+"/"+name)
		if err != nil {
			return err
		}
		p = corev1.Pod{}
		if err := json.Unmarshal(b, &p); err != nil {
			return err
		}
		if !PodReady(&p) {
			return fmt.Errorf("pod %s is %s", name, p.Status.Phase)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: first pod: %w: %+v: %s", s.Name, err, p.Status.ContainerStatuses, s.Words())
	}
	return nil
}

// DeletePod deletes a pod and waits until it has gone.
func (s *Side) DeletePod(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := s.Client(false)
	defer c.CloseIdleConnections()
	if err := s.Do(ctx, c, http.MethodDelete, PodsPath+"/"+name, `{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":1}`); err != nil {
		return err
	}
	return until(ctx, func(ctx context.Context) error {
		_, err := get(ctx, c, s.URL+PodsPath+"/"+name)
		if err == nil {
			return fmt.Errorf("%s: pod %s is still there", s.Name, name)
		}
		if err.Error() != "404 Not Found" {
			return err
		}
		return nil
	})
}

// Do sends one request with a JSON body; an answer other than success is an error.
func (s *Side) Do(ctx context.Context, c *http.Client, method, path, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s %s: %s: %.300s", s.Name, method, path, resp.Status, b)
	}
	return err
}
