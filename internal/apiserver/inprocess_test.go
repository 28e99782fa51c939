package apiserver_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestSlowReader checks that a client that has stopped reading does not hold the server when its call is cancelled.
func TestSlowReader(t *testing.T) {
	s := apiservertest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://x"+cms+"?watch=1&resourceVersion=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.InProcess(tls.Certificate{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	must(t, do(t, s, "POST", cms, configMap("a", `{"a":"`+strings.Repeat("x", 900<<10)+`"}`)), 201)
	for _, v := range []string{"1", "2", "3"} {
		must(t, do(t, s, "PATCH", cms+"/a", `{"data":{"v":"`+v+`"}}`, "Content-Type", mergePatch), 200)
	}
	cancel()
	// The server's own goroutines must end: Start's clean-up waits for them.
	deadline := time.After(time.Minute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<20)
		for {
			if _, err := resp.Body.Read(b); err != nil {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-deadline:
		t.Error("the body did not end")
	}
}
