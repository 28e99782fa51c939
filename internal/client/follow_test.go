package client

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// curt is a server whose watches end as soon as they begin.
type curt struct{ watches int }

func (c *curt) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[]}`
	if r.URL.Query().Get("watch") != "" {
		c.watches++
		body = ""
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestViewDoesNotRunAfterWatchesThatEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &curt{}
		v := newView(Of(New("http://server", server, "test"), Pods), metav1.ListOptions{}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := v.run(ctx); err != context.DeadlineExceeded {
			t.Error(err)
		}
		if server.watches < 5 || server.watches > 20 {
			t.Errorf("%d watches in a minute", server.watches)
		}
	})
}
