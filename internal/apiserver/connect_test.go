package apiserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
)

// kubeletStand serves what a kubelet serves, with streams by the library that kubelets use.
type kubeletStand struct{}

func (kubeletStand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/containerLogs/"):
		if r.URL.Query().Get("previous") == "true" {
			http.Error(w, "previous terminated container \"c\" in pod \"p\" not found", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "log of %s tail %s\n", r.URL.Path, r.URL.Query().Get("tailLines"))
	case strings.HasPrefix(r.URL.Path, "/exec/"):
		opts, err := remotecommand.NewOptions(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		remotecommand.ServeExec(w, r, kubeletStand{}, "p", "", "c", r.URL.Query()["command"], opts, time.Minute, 10*time.Second, remotecommand.SupportedStreamingProtocols)
	case strings.HasPrefix(r.URL.Path, "/portForward/"):
		opts, err := portforward.NewV4Options(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		portforward.ServePortForward(w, r, kubeletStand{}, "p", "", opts, time.Minute, 10*time.Second, portforward.SupportedProtocols)
	default:
		fmt.Fprintf(w, "kubelet %s", r.URL)
	}
}

// ExecInContainer answers with the command and what comes from stdin.
func (kubeletStand) ExecInContainer(_ context.Context, _, _, container string, cmd []string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	fmt.Fprintf(out, "%s: %s\n", container, strings.Join(cmd, " "))
	if in != nil {
		b, err := io.ReadAll(in)
		fmt.Fprintf(out, "stdin: %s", b)
		return err
	}
	return nil
}

// PortForward echoes in capitals.
func (kubeletStand) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	b := make([]byte, 64)
	n, err := stream.Read(b)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stream, "%d:%s", port, bytes.ToUpper(b[:n]))
	return err
}

// withKubelet starts a server with one running pod on a node whose kubelet is the stand.
func withKubelet(t *testing.T) *apiservertest.Server {
	t.Helper()
	k := httptest.NewTLSServer(kubeletStand{})
	t.Cleanup(k.Close)
	pool := x509.NewCertPool()
	pool.AddCert(k.Certificate())
	s := apiservertest.Start(t, func(c *apiserver.Config) {
		c.Kubelet = &tls.Config{RootCAs: pool, ServerName: "example.com"}
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) { // nothing is proxied to loopback
			return new(net.Dialer).DialContext(ctx, network, strings.Replace(addr, "192.0.2.1:", "127.0.0.1:", 1))
		}
	})
	u, err := url.Parse(k.URL)
	if err != nil {
		t.Fatal(err)
	}
	must(t, do(t, s, "POST", "/api/v1/nodes", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}}`), 201)
	must(t, do(t, s, "PATCH", "/api/v1/nodes/n/status", `{"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":`+u.Port()+`}}}}`,
		"Content-Type", mergePatch), 200)
	must(t, do(t, s, "POST", pods, podJSON("p", `,"nodeName":"n"`)), 201)
	must(t, do(t, s, "PATCH", pods+"/p/status", `{"status":{"phase":"Running"}}`, "Content-Type", mergePatch), 200)
	return s
}

func TestLogs(t *testing.T) {
	s := withKubelet(t)
	if a := do(t, s, "GET", pods+"/p/log?tailLines=3", ""); a.body != "log of /containerLogs/default/p/c tail 3\n" || a.header.Get("Content-Type") != "text/plain" {
		t.Errorf("log: %d %s", a.code, a.body)
	}
	a := do(t, s, "GET", pods+"/p/log?previous=true", "")
	if st := a.status(t); a.code != 400 || !strings.HasPrefix(st.Message, `previous terminated container "c" in pod "p" not found`) {
		t.Errorf("refused: %d %s", a.code, a.body)
	}
	a = do(t, s, "GET", pods+"/p/log?container=d", "")
	if st := a.status(t); a.code != 400 || st.Message != "container d is not valid for pod p" {
		t.Errorf("container: %d %s", a.code, a.body)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		if a = do(t, s, method, "/api/v1/nodes/n/proxy/stats/summary?x=y", ""); a.body != "kubelet /stats/summary?x=y" {
			t.Errorf("node proxy, %s: %d %s", method, a.code, a.body)
		}
	}
}

// TestProxyToAPortThatIsNone: the library that proxies takes for granted that an address can be read.
func TestProxyToAPortThatIsNone(t *testing.T) {
	s := withKubelet(t)
	must(t, do(t, s, "PATCH", pods+"/p/status", `{"status":{"podIP":"10.1.2.3","podIPs":[{"ip":"10.1.2.3"}]}}`, "Content-Type", mergePatch), 200)
	if a := do(t, s, "GET", pods+"/p:odd/proxy/", ""); a.code != 400 || !strings.Contains(a.status(t).Message, `invalid pod request "p:odd"`) {
		t.Errorf("%d %s", a.code, a.body)
	}
}

// TestServiceProxyStaysAmongPods: who may write EndpointSlices sends the server to no address that is not the pod's.
func TestServiceProxyStaysAmongPods(t *testing.T) {
	s := withKubelet(t)
	must(t, do(t, s, "PATCH", pods+"/p/status", `{"status":{"podIP":"10.1.2.3","podIPs":[{"ip":"10.1.2.3"}]}}`, "Content-Type", mergePatch), 200)
	must(t, do(t, s, "POST", "/api/v1/namespaces/default/services", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}`), 201)
	slice := func(name, address, pod string) answer {
		return do(t, s, "POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", fmt.Sprintf(`{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
			"metadata":{"name":%q,"labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[{"name":"","port":80}],
			"endpoints":[{"addresses":[%q]%s}]}`, name, address, pod))
	}
	own := `,"targetRef":{"kind":"Pod","namespace":"default","name":"p"}`
	must(t, slice("here", "127.0.0.1", own), 422)
	must(t, slice("another", "10.9.8.7", own), 201)
	must(t, slice("elsewhere", "10.1.2.3", `,"targetRef":{"kind":"Pod","namespace":"other","name":"p"}`), 201)
	must(t, slice("nobody", "10.1.2.3", ""), 201)
	if a := do(t, s, "GET", "/api/v1/namespaces/default/services/web/proxy/", ""); a.code != 503 || !strings.Contains(a.status(t).Message, "no endpoints available") {
		t.Errorf("%d %s", a.code, a.body)
	}
}

// TestLogBySocket: a browser gets an empty message, then the log, as bytes or in base64, then the end.
func TestLogBySocket(t *testing.T) {
	s := withKubelet(t)
	for _, c := range []struct {
		protocols []string
		kind      int
	}{
		{nil, websocket.BinaryMessage},
		{[]string{"binary.k8s.io"}, websocket.BinaryMessage},
		{[]string{"base64.binary.k8s.io"}, websocket.TextMessage},
	} {
		dialer := websocket.Dialer{Subprotocols: c.protocols, HandshakeTimeout: time.Minute}
		ws, resp, err := dialer.Dial(strings.Replace(s.URL, "http", "ws", 1)+pods+"/p/log", nil)
		if err != nil {
			t.Fatalf("%v: %v: %v", c.protocols, err, resp)
		}
		var got []string
		for {
			kind, b, err := ws.ReadMessage()
			if err != nil {
				if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
					t.Errorf("%v: ended by %v", c.protocols, err)
				}
				break
			}
			if kind != c.kind {
				t.Errorf("%v: message of kind %d", c.protocols, kind)
			}
			if kind == websocket.TextMessage {
				if b, err = base64.StdEncoding.AppendDecode(nil, b); err != nil {
					t.Error(err)
				}
			}
			got = append(got, string(b))
		}
		if len(got) < 2 || got[0] != "" || strings.Join(got, "") != "log of /containerLogs/default/p/c tail \n" {
			t.Errorf("%v: %q", c.protocols, got)
		}
		if err := ws.Close(); err != nil {
			t.Error(err)
		}
	}
	dialer := websocket.Dialer{Subprotocols: []string{"channel.k8s.io"}}
	if _, resp, err := dialer.Dial(strings.Replace(s.URL, "http", "ws", 1)+pods+"/p/log", nil); err == nil || resp == nil || resp.StatusCode != 400 {
		t.Errorf("unknown protocol: %v %v", resp, err)
	}
}

func TestExec(t *testing.T) {
	s := withKubelet(t)
	if out := kubectl(t, s, "", "exec", "p", "--", "echo", "hi"); !strings.Contains(out, "c: echo hi\n") {
		t.Errorf("exec: %s", out)
	}
	if out := kubectl(t, s, "abc", "exec", "-i", "p", "--", "cat"); !strings.Contains(out, "stdin: abc") {
		t.Errorf("exec -i: %s", out)
	}
}

func TestPortForward(t *testing.T) {
	s := withKubelet(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", "--server="+s.URL, "port-forward", "pod/p", ":80")
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	var port int
	if _, err := fmt.Fscanf(out, "Forwarding from 127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil || string(b) != "80:HELLO" {
		t.Errorf("forwarded: %q %v", b, err)
	}
}
