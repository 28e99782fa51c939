package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/store"
)

// failing is a store whose writes fail, or wait for ever, when told to.
type failing struct {
	store.Store
	err atomic.Pointer[error]
}

var errHang = errors.New("hang")

func (f *failing) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (int64, error) {
	p := f.err.Load()
	switch {
	case p == nil:
		return f.Store.Create(ctx, key, value, ttl)
	case errors.Is(*p, errHang):
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, fmt.Errorf("store: create %s: %w", key, *p)
}

// TestStoreFails is what clients hear of a store in trouble.
func TestStoreFails(t *testing.T) {
	f := &failing{Store: store.NewMemory()}
	s := apiservertest.Start(t, func(c *apiserver.Config) { c.Store = f })
	for _, c := range []struct {
		err     error
		code    int
		reason  metav1.StatusReason
		message string
	}{
		{store.ErrNoSpace, 507, "InternalError", "etcdserver: mvcc: database space exceeded: store: create /registry/configmaps/default/a: store is out of space; free disk space"},
		{store.ErrTooLarge, 413, "RequestEntityTooLarge", "etcdserver: request is too large: an object of at most 1572864 bytes can be stored: "},
		{store.ErrClosed, 503, "ServiceUnavailable", "the server is shutting down"},
		{store.ErrUnavailable, 503, "ServiceUnavailable", "store: create /registry/configmaps/default/a: store does not answer; try again"},
		{errHang, 504, "Timeout", "Timeout: request did not complete within requested timeout"},
		{errors.New("broken disk"), 500, "", "store: create /registry/configmaps/default/a: broken disk"},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			f.err.Store(&c.err)
			a := do(t, s, "POST", cms+"?timeout=100ms", configMap("a", "{}"))
			if st := a.status(t); a.code != c.code || st.Reason != c.reason || !strings.HasPrefix(st.Message, c.message) {
				t.Errorf("%d %s %q", a.code, st.Reason, st.Message)
			}
		})
	}
}

// TestLargeObjects: what does not fit with its record of field ownership is stored without; what is larger still is refused.
func TestLargeObjects(t *testing.T) {
	s := apiservertest.Start(t)
	of := func(name string, keys int) string {
		data := &strings.Builder{}
		for i := range keys {
			fmt.Fprintf(data, `,"key-of-a-large-config-map-%06d":""`, i)
		}
		return configMap(name, "{"+data.String()[1:]+"}")
	}
	if a := do(t, s, "POST", cms, of("a", 10000)); a.code != 201 || !strings.Contains(a.body, "managedFields") {
		t.Errorf("owned: %d %.200s", a.code, a.body)
	}
	if a := do(t, s, "POST", cms, of("b", 25000)); a.code != 201 || strings.Contains(a.body, "managedFields") {
		t.Errorf("too large with owners: %d %.200s", a.code, a.body)
	}
	if a := do(t, s, "POST", cms, of("c", 45000)); a.code != 413 || a.status(t).Reason != metav1.StatusReasonRequestEntityTooLarge {
		t.Errorf("too large: %d %.200s", a.code, a.body)
	}
}
