package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
)

// flaky cuts every watch off after some bytes, and answers every third watch with 410 Gone.
type flaky struct {
	next    http.RoundTripper
	watches atomic.Int32
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("watch") == "" {
		return f.next.RoundTrip(r)
	}
	if n := f.watches.Add(1); n%3 == 0 {
		body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`
		return &http.Response{StatusCode: 410, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	resp, err := f.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, 1500), resp.Body}
	}
	return resp, err
}

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"v": value}}
}

// replay follows a view by its changes alone.
type replay struct {
	mu    sync.Mutex
	state map[string]string
	bad   []string
}

func (r *replay) change(old, new *corev1.ConfigMap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old != nil && r.state[old.Name] != old.ResourceVersion {
		r.bad = append(r.bad, fmt.Sprintf("%s: old is %s, was told %s", old.Name, old.ResourceVersion, r.state[old.Name]))
	}
	if old == nil && r.state[new.Name] != "" {
		r.bad = append(r.bad, new.Name+": added twice")
	}
	if new == nil {
		delete(r.state, old.Name)
		return
	}
	r.state[new.Name] = new.ResourceVersion
}

func TestViewSurvivesBrokenWatches(t *testing.T) {
	srv := apiservertest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shaky := &flaky{next: http.DefaultTransport}
	vs := client.NewViews(ctx, client.New(srv.URL, shaky, "test"), slog.New(slog.DiscardHandler))
	view := client.ViewOf(vs, client.ConfigMaps)
	view.Index("value", func(m *corev1.ConfigMap) []string { return []string{m.Data["v"]} })
	if err := view.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	r := &replay{state: map[string]string{}}
	view.OnChange(r.change)
	door := client.Of(srv.Client, client.ConfigMaps)
	last := ""
	for i := range 120 {
		m, err := door.Create(ctx, configMap(fmt.Sprintf("m%d", i), "new"))
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if m, err = door.Patch(ctx, "default", m.Name, types.MergePatchType, []byte(`{"data":{"v":"old"}}`)); err != nil {
				t.Fatal(err)
			}
		}
		if i%5 == 0 {
			if err := door.Delete(ctx, "default", m.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		last = m.ResourceVersion
	}
	wait, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if err := view.WaitFor(wait, last); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bad) > 0 {
		t.Errorf("changes that do not follow from one another: %v", r.bad)
	}
	list, _, err := door.List(ctx, "default", metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 96 || len(view.List("default", nil)) != 96 || len(r.state) != 96 {
		t.Errorf("server has %d, view %d, replay %d; want 96", len(list), len(view.List("default", nil)), len(r.state))
	}
	for _, m := range list {
		if have, ok := view.Get("default", m.Name); !ok || have.ResourceVersion != m.ResourceVersion || r.state[m.Name] != m.ResourceVersion {
			t.Errorf("%s differs", m.Name)
		}
	}
	if n := len(view.ByIndex("value", "old")); n != 48 {
		t.Errorf("index has %d, want 48", n)
	}
	cancel()
	if err := vs.Wait(); err != nil {
		t.Error(err)
	}
}

// TestUpdateFromView: what comes out of a view may be sent back; the server keeps who owns which field.
func TestUpdateFromView(t *testing.T) {
	srv := apiservertest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	door := client.Of(srv.Client, client.ConfigMaps)
	made, err := door.Create(ctx, configMap("owned", "a"))
	if err != nil {
		t.Fatal(err)
	}
	view := client.ViewOf(client.NewViews(ctx, client.New(srv.URL, http.DefaultTransport, "other"), slog.New(slog.DiscardHandler)), client.ConfigMaps)
	if err := view.WaitFor(ctx, made.ResourceVersion); err != nil {
		t.Fatal(err)
	}
	seen, ok := view.Get("default", "owned")
	if !ok || seen.ManagedFields != nil || len(made.ManagedFields) != 1 {
		t.Fatalf("view has %v, server made %v", seen, made.ManagedFields)
	}
	changed := seen.DeepCopy()
	changed.Data["w"] = "b"
	if changed, err = client.Of(client.New(srv.URL, http.DefaultTransport, "other"), client.ConfigMaps).Update(ctx, changed); err != nil {
		t.Fatal(err)
	}
	if len(changed.ManagedFields) != 2 {
		t.Errorf("owners after the update: %v", changed.ManagedFields)
	}
}

func TestErrorsAreTheServersOwn(t *testing.T) {
	c := apiservertest.Start(t).Client
	door := client.Of(c, client.ConfigMaps)
	if _, err := door.Get(t.Context(), "default", "none"); !apierrors.IsNotFound(err) || err.Error() != `configmaps "none" not found` {
		t.Errorf("get: %v", err)
	}
	if _, err := door.Create(t.Context(), configMap("a", "1")); err != nil {
		t.Fatal(err)
	}
	if _, err := door.Create(t.Context(), configMap("a", "1")); !apierrors.IsAlreadyExists(err) {
		t.Errorf("create: %v", err)
	}
	stale := configMap("a", "2")
	stale.ResourceVersion = "1"
	if _, err := door.Update(t.Context(), stale); !apierrors.IsConflict(err) {
		t.Errorf("update: %v", err)
	}
}

func TestDiscoverFindsEveryKind(t *testing.T) {
	all, failed, err := client.Discover(t.Context(), apiservertest.Start(t).Client)
	if err != nil || len(failed) > 0 || len(all) < 50 {
		t.Fatalf("%d kinds, failed %v, %v", len(all), failed, err)
	}
	for _, r := range all {
		if r.GVR.Resource == "deployments" && (r.GVR.Group != "apps" || r.Kind != "Deployment" || !r.Namespaced || !r.Can("list", "watch", "deletecollection")) {
			t.Errorf("%+v", r)
		}
	}
}

func TestRecorderCountsRepeats(t *testing.T) {
	c := apiservertest.Start(t).Client
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log bytes.Buffer
	rec := client.NewRecorder(c, slog.New(slog.NewTextHandler(&log, nil)), "test", "host")
	m := configMap("a", "1")
	for range 3 {
		rec.Event(m, corev1.EventTypeNormal, "Tested", "it was %s", "tested")
	}
	for range 3 {
		rec.Acted(m, corev1.EventTypeNormal, "Tried", "Trying", "it was %s", "tried")
	}
	ended := make(chan error)
	go func() { ended <- rec.Run(ctx) }()
	deadline := time.Now().Add(time.Minute)
	for {
		list, _, err := client.Of(c, client.Events).List(ctx, "default", metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(list, func(e *corev1.Event) bool { return e.Count == 3 }); len(list) == 2 && i >= 0 && list[1-i].Series != nil && list[1-i].Series.Count == 3 {
			e, acted := list[i], list[1-i]
			if acted.Action != "Trying" || acted.ReportingInstance != "test-host" || acted.Source.Component != "" || acted.EventTime.IsZero() {
				t.Errorf("%+v", acted)
			}
			if e.Message != "it was tested" || e.InvolvedObject.Kind != "ConfigMap" || e.Source.Component != "test" {
				t.Errorf("%+v", e)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events: %+v; log %s", len(list), list, log.String())
		}
		<-time.After(5 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
