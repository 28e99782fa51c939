package apiserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/store"
)

// lagging is a store whose watches tell nothing while held: the cache above it stays behind.
type lagging struct {
	store.Store
	held sync.RWMutex
}

func (l *lagging) Watch(ctx context.Context, prefix string, after int64, o store.WatchOptions, each func(store.Batch) error) error {
	return l.Store.Watch(ctx, prefix, after, o, func(b store.Batch) error {
		l.held.RLock()
		defer l.held.RUnlock()
		return each(b)
	})
}

// TestNothingToDoIsHeldAgainstTheStore writes what would be nothing new on the state that the cache still has.
func TestNothingToDoIsHeldAgainstTheStore(t *testing.T) {
	l := &lagging{Store: store.NewMemory()}
	srv := apiservertest.Start(t, func(c *apiserver.Config) { c.Store = l })
	const cms = "/api/v1/namespaces/default/configmaps"
	do(t, srv, http.MethodPost, cms, `{"metadata":{"name":"a"}}`)
	if got := do(t, srv, http.MethodGet, cms+"/a", ""); got.code != http.StatusOK {
		t.Fatalf("get: %d %s", got.code, got.body)
	}
	behind := func() {
		l.held.Lock()
		defer l.held.Unlock()
		merge := []string{"Content-Type", "application/merge-patch+json"}
		do(t, srv, http.MethodPatch, cms+"/a", `{"metadata":{"labels":{"x":"1"}}}`, merge...)
		if got := do(t, srv, http.MethodPatch, cms+"/a?dryRun=All", `{"data":{"a":"b"}}`, merge...); !strings.Contains(string(got.body), `"x":"1"`) {
			t.Errorf("a dry run does not see the write before it: %s", got.body)
		}
		if got := do(t, srv, http.MethodPatch, cms+"/a", `{"metadata":{"labels":{"x":null}}}`, merge...); got.code != http.StatusOK {
			t.Errorf("patch: %d %s", got.code, got.body)
		}
	}
	behind()
	if got := do(t, srv, http.MethodGet, cms+"/a", ""); strings.Contains(string(got.body), `"x":"1"`) {
		t.Errorf("the last patch was acknowledged and is lost: %s", got.body)
	}
}
