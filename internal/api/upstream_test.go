package api

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"minato.dev/minato/internal/api/apitest"
)

const stubNamespace = apitest.StubNamespace

// stub is one entry of upstream's table.
type stub struct {
	gvr  schema.GroupVersionResource
	json string
	path string
	gvk  schema.GroupVersionKind
}

func stubs(t testing.TB) (out []stub) {
	t.Helper()
	for _, s := range apitest.Stubs(t) {
		out = append(out, stub{s.GVR, s.JSON, s.Path, s.GVK})
	}
	return out
}

func upstreamDir(t testing.TB) string {
	t.Helper()
	return apitest.UpstreamDir(t)
}
