package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// oneHost has one pod with one container.
type oneHost struct{ Host }

func (oneHost) Config() any { return map[string]string{"kind": "KubeletConfiguration"} }

func (oneHost) Pod(ns, name string, _ types.UID) (*corev1.Pod, bool) {
	return &corev1.Pod{}, ns == "a" && name == "p"
}

func (oneHost) Container(_ *corev1.Pod, name string, _ bool) (id, log string, err error) {
	if name != "c" {
		return "", "", apierrors.NewNotFound(corev1.Resource("containers"), name)
	}
	return "id", "", nil
}

// writer is a runtime that can checkpoint, or says why it cannot.
type writer struct {
	runtimeapi.RuntimeServiceClient
	err error
	got *runtimeapi.CheckpointContainerRequest
}

func (w *writer) CheckpointContainer(_ context.Context, r *runtimeapi.CheckpointContainerRequest, _ ...grpc.CallOption) (*runtimeapi.CheckpointContainerResponse, error) {
	w.got = r
	return &runtimeapi.CheckpointContainerResponse{}, w.err
}

func TestConfigzAndCheckpoint(t *testing.T) {
	rt := &writer{}
	s := New(Config{Host: oneHost{}, Runtime: rt, CheckpointDir: t.TempDir() + "/checkpoints"})
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	if w := ask("GET", "/configz"); !strings.Contains(w.Body.String(), `{"kubeletconfig":{"kind":"KubeletConfiguration"}}`) {
		t.Errorf("configz is %s", w.Body)
	}
	if w := ask("POST", "/checkpoint/a/p/c?timeout=7"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"items":["`+s.CheckpointDir+`/checkpoint-p_a-c-`) || rt.got.Timeout != 7 || rt.got.ContainerId != "id" {
		t.Errorf("%d %s, asked %v", w.Code, w.Body, rt.got)
	}
	rt.err = status.Error(codes.Unimplemented, "no CRIU")
	for path, want := range map[string]string{"/checkpoint/a/p/c": "500 checkpointing of a/p/c failed (no CRIU)", "/checkpoint/a/q/c": `404 pod "a/q" does not exist`, "/checkpoint/a/p/d": `404 containers "d" not found`, "/checkpoint/a/p/c?timeout=x": "404 cannot parse value"} {
		w := ask("POST", path)
		if got := fmt.Sprint(w.Code, " ", w.Body); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
