package apiserver_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

// TestWatchBySocket: a browser gets one message an event, and the watch ends with it or with its time.
func TestWatchBySocket(t *testing.T) {
	s := apiservertest.Start(t)
	wants(t, s, 201, "POST", cms, configMap("a", "{}"))
	dial := func(query string, headers map[string][]string) *websocket.Conn {
		t.Helper()
		ws, resp, err := websocket.DefaultDialer.Dial(strings.Replace(s.URL, "http", "ws", 1)+cms+"?watch=1&"+query, headers)
		if err != nil {
			t.Fatalf("%v: %v", err, resp)
		}
		t.Cleanup(func() { _ = ws.Close() })
		if err := ws.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return ws
	}
	next := func(ws *websocket.Conn) (kind int, event struct {
		Type   string
		Object struct{ Metadata struct{ Name string } }
	}) {
		t.Helper()
		kind, b, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &event); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		return kind, event
	}
	ws := dial("resourceVersion=0", nil)
	if kind, e := next(ws); kind != websocket.TextMessage || e.Type != "ADDED" || e.Object.Metadata.Name != "a" {
		t.Errorf("first message %d: %+v", kind, e)
	}
	wants(t, s, 201, "POST", cms, configMap("b", "{}"))
	if _, e := next(ws); e.Type != "ADDED" || e.Object.Metadata.Name != "b" {
		t.Errorf("second message: %+v", e)
	}

	short := dial("resourceVersion=0&timeoutSeconds=1", map[string][]string{"Accept": {"application/vnd.kubernetes.protobuf;stream=watch"}})
	kinds := 0
	for {
		kind, b, err := short.ReadMessage()
		if err != nil {
			if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("ended by %v", err)
			}
			break
		}
		if kind != websocket.BinaryMessage || !strings.Contains(string(b), "ADDED") || !strings.Contains(string(b), "k8s\x00") {
			t.Errorf("message %d: %q", kind, b)
		}
		kinds++
	}
	if kinds != 2 {
		t.Errorf("%d messages, want 2", kinds)
	}
	if _, resp, err := websocket.DefaultDialer.Dial(strings.Replace(s.URL, "http", "ws", 1)+cms+"?watch=1&limit=x", nil); err == nil || resp == nil || resp.StatusCode != 400 {
		t.Errorf("a bad request was upgraded: %v %v", resp, err)
	}
}
