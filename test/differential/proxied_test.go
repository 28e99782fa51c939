package differential

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"minato.dev/minato/bench/measure"
)

// backendIP is where pods and nodes are that answer: an address of loopback's link on both sides, which no packet leaves.
const backendIP = "192.0.2.9"

// proxied compares what becomes of requests that are passed on to somebody who answers: a pod, one behind a Service, and a node.
func proxied(t *testing.T, p *Pair, b *Both) {
	plain := listenOnBoth(t, b, "8080")
	secure := append(listenOnBoth(t, b, "8443"), listenOnBoth(t, b, "10250")...)
	serving := &tls.Config{Certificates: []tls.Certificate{b.Server.PKI.APIServer.TLS}, NextProtos: []string{"http/1.1"}, ClientAuth: tls.RequestClientCert}
	for _, l := range secure {
		plain = append(plain, tls.NewListener(l, serving))
	}
	stop := serveBackend(t, plain)
	defer stop()
	p.namespace("proxied")
	p.tell("proxy", "proxied", []do{
		{"node", "POST", "/api/v1/nodes", `{"metadata":{"name":"proxied"},"status":{"addresses":[{"type":"InternalIP","address":"` + backendIP + `"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}}`, "", "", nil},
		{"near node", "POST", "/api/v1/nodes", `{"metadata":{"name":"proxied-near"},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}}`, "", "", nil},
		{"pod", "POST", "$NS/pods", `{"metadata":{"name":"box"},"spec":{"nodeName":"proxied","containers":[{"name":"a","image":"x","ports":[{"name":"web","containerPort":8080}]}]}}`, "", "", nil},
		{"address", "PATCH", "$NS/pods/box/status", `{"status":{"podIP":"` + backendIP + `","podIPs":[{"ip":"` + backendIP + `"}]}}`, mergeType, "", nil},
		{"other pod", "POST", "$NS/pods", `{"metadata":{"name":"other"},"spec":{"nodeName":"proxied","containers":[{"name":"a","image":"x"}]}}`, "", "", nil},
	})
	for name, ref := range map[string]string{"svc": `"name":"box","namespace":"proxied"`, "of-another": `"name":"other","namespace":"proxied"`, "of-nobody": `"name":"nobody","namespace":"proxied"`, "elsewhere": `"name":"box","namespace":"default"`} {
		p.tell("proxy/"+name, "proxied", []do{
			{"service", "POST", "$NS/services", `{"metadata":{"name":"` + name + `"},"spec":{"ports":[{"name":"web","port":80,"targetPort":8080},{"name":"tls","port":443,"targetPort":8443},{"name":"closed","port":9}]}}`, "", "", nil},
			{"slice", "POST", "/apis/discovery.k8s.io/v1/namespaces/proxied/endpointslices", `{"metadata":{"name":"` + name + `-1","labels":{"kubernetes.io/service-name":"` + name + `"}},"addressType":"IPv4","ports":[{"name":"web","port":8080},{"name":"tls","port":8443},{"name":"closed","port":9}],"endpoints":[{"addresses":["` + backendIP + `"],"targetRef":{"kind":"Pod",` + ref + `}}]}`, "", "", nil},
		})
	}
	const ns = "/api/v1/namespaces/proxied"
	ways := []string{ns + "/pods/box/proxy", ns + "/pods/http:box:8080/proxy", ns + "/pods/https:box:8443/proxy", ns + "/services/svc:web/proxy", ns + "/services/svc:80/proxy", ns + "/services/https:svc:tls/proxy", "/api/v1/nodes/proxied/proxy", "/api/v1/nodes/proxied:10250/proxy", "/api/v1/nodes/proxied:8080/proxy", "/api/v1/nodes/https:proxied:8443/proxy"}
	// Upstream reads slices and pods from an informer, which may not know them yet.
	p.until(Request{Method: http.MethodGet, Path: ns + "/services/svc:web/proxy/echo"}, `"path":"/echo"`)
	for _, way := range ways {
		p.passed(way)
	}
	for _, way := range []string{ns + "/services/of-another:web/proxy/echo", ns + "/services/of-nobody:web/proxy/echo", ns + "/services/elsewhere:web/proxy/echo", ns + "/services/svc:99999999999/proxy/echo", "/api/v1/nodes/proxied-near/proxy/echo", "/api/v1/nodes/proxied-near:10250/proxy/echo", "/api/v1/nodes/proxied-near:8080/proxy/echo",
		ns + "/pods/box:9/proxy/echo", ns + "/services/svc:closed/proxy/echo", "/api/v1/nodes/proxied:9/proxy/echo", ns + "/pods/https:box:8080/proxy/echo"} {
		p.Ask("proxy/refused "+way, Request{Method: http.MethodGet, Path: way})
		p.upgraded("proxy/refused upgrade "+way, way)
	}
	// Who answers without a length and a type races with the proxy's first flush, so that a type is guessed or not.
	p.upgraded("proxy/plain words to TLS", ns+"/pods/http:box:8443/proxy/echo")
}

// passed asks one way's backend for everything that it knows.
func (p *Pair) passed(way string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions} {
		r := Request{Method: method, Path: way + "/echo/a%20b/../c//d?x=1&x=2&y=%2F&path=z", Header: map[string]string{"X-Mine": "a", "Te": "trailers", "X-Forwarded-For": "192.0.2.77"}}
		if method != http.MethodGet && method != http.MethodHead {
			r.Body, r.Type = "some words", "text/plain"
		}
		p.Ask("proxy/"+method+" "+way, r)
	}
	p.Ask("proxy/as another "+way, Request{Method: http.MethodGet, Path: way + "/echo", Header: map[string]string{"Impersonate-User": "root", "Impersonate-Group": "system:masters", "Impersonate-Extra-Why": "because"}})
	for _, path := range []string{"", "/", "?a=b", "/echo/", "/code/404", "/code/204", "/code/500", "/code/304", "/page", "/page/", "/zipped", "/plain", "/chunks", "/large", "/hang-up",
		"/moved?to=/there", "/moved?to=there", "/moved?to=http://elsewhere.example/x", "/moved?to=http://" + backendIP + ":8080/x?y=z", "/moved?to=https://" + backendIP + ":8443/x", "/moved?to=//" + backendIP + ":8080/x", "/moved?to=%25zz"} {
		p.Ask("proxy/"+path+" of "+way, Request{Method: http.MethodGet, Path: way + path, Accept: "*/*"})
		p.Ask("proxy/"+path+" zipped of "+way, Request{Method: http.MethodGet, Path: way + path, Accept: "*/*", Header: map[string]string{"Accept-Encoding": "gzip"}})
	}
	for _, path := range []string{"/upgrade", "/upgrade?refuse=1", "/echo"} {
		p.upgraded("proxy/upgrade "+path+" of "+way, way+path)
	}
}

// upgraded asks for another protocol on a connection of its own, and speaks it where it is granted.
func (p *Pair) upgraded(step, path string) {
	p.t.Helper()
	p.Asked++
	var said [2]Answer
	var wg sync.WaitGroup
	for i, s := range []*Side{p.Ours, p.Theirs} {
		wg.Go(func() {
			a, err := s.upgrade(p.t.Context(), path)
			if err != nil {
				a.Body = fmt.Sprintf("%v: %v", a.Body, err)
			}
			said[i] = a
		})
	}
	wg.Wait()
	p.note(step, Request{Method: "UPGRADE", Path: path}, p.pairs.compare(said[0], said[1]))
}

func (s *Side) upgrade(ctx context.Context, path string) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u, err := url.Parse(s.URL)
	if err != nil {
		return a, err
	}
	transport := s.http.Transport.(*http.Transport)
	dial := transport.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	bare, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return a, err
	}
	conf := transport.TLSClientConfig.Clone()
	conf.NextProtos, conf.ServerName = []string{"http/1.1"}, u.Hostname()
	c := tls.Client(bare, conf)
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: talk/1\r\nSec-Websocket-Key: k\r\nUser-Agent: differential/1\r\n\r\n", path, u.Host); err != nil {
		return a, err
	}
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return a, err
	}
	a = Answer{Code: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		raw, err := io.ReadAll(resp.Body)
		if a.Body, a.Raw = string(raw), raw; err == nil {
			a.Body, err = decode(resp.Header.Get("Content-Type"), raw)
		}
		return a, errors.Join(err, resp.Body.Close())
	}
	if _, err := io.WriteString(c, "hello\nbye\n"); err != nil {
		return a, err
	}
	all, err := io.ReadAll(in)
	a.Body = string(all)
	return a, err
}

// listenOnBoth listens at a port of the backend's address on both sides.
func listenOnBoth(t *testing.T, b *Both, port string) []net.Listener {
	t.Helper()
	add := []string{"ip", "addr", "replace", backendIP + "/32", "dev", "lo"}
	err := errors.Join(measure.Output(exec.CommandContext(t.Context(), add[0], add[1:]...)), measure.Output(b.Upstream.Net.Command(t.Context(), add...)))
	if err != nil {
		t.Fatal(err)
	}
	ours, errOurs := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(backendIP, port))
	theirs, errTheirs := b.Upstream.Net.Listen(t.Context(), "tcp", net.JoinHostPort(backendIP, port))
	if err := errors.Join(errOurs, errTheirs); err != nil {
		t.Fatal(err)
	}
	return []net.Listener{ours, theirs}
}

// serveBackend answers on all listeners until the result is called.
func serveBackend(t *testing.T, all []net.Listener) func() {
	server := &http.Server{Handler: backend(), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	var wg sync.WaitGroup
	for _, l := range all {
		wg.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
	return func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

const page = `<!doctype html><html><head><link href="/style.css" rel=x><script src="own.js"></script></head><body background="/b.png"><a href="/there?x=y#z">a</a><a href="there">b</a><a href="http://elsewhere.example/">c</a>` +
	`<a href="//` + backendIP + `:8080/x">d</a><form action="/go"><img src='/i.png'></form><a href="#here">e</a><a href="">f</a>&amp;<iframe src=/f></iframe></body></html>`

// backend is who answers behind the servers.
func backend() http.Handler {
	mux := http.NewServeMux()
	html := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/html; charset=utf-8") }
	text := func(pattern, words string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, words) })
	}
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { html(w); _, _ = io.WriteString(w, page) })
	mux.HandleFunc("/page/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xhtml+xml")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("/zipped", func(w http.ResponseWriter, _ *http.Request) { html(w); zip(w, page) })
	text("/plain", page[15:])
	text("/large", strings.Repeat("0123456789abcdef", 1<<17))
	text("/{$}", "the root")
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-After")
		for _, s := range []string{"one ", "two ", "three"} {
			_, _ = io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-After", "that")
	})
	mux.HandleFunc("/code/{code}", func(w http.ResponseWriter, r *http.Request) {
		code := 0
		_, _ = fmt.Sscan(r.PathValue("code"), &code)
		w.Header()["Set-Cookie"], w.Header()["X-Own"] = []string{"a=b; Path=/", "c=d; Domain=" + backendIP}, []string{"x"}
		w.WriteHeader(code)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/hang-up", func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = c.Close()
		}
	})
	mux.HandleFunc("/upgrade", talk)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/echo") { // the mux would clean its path
			echo(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// echo tells what was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	peers := 0
	if r.TLS != nil {
		peers = len(r.TLS.PeerCertificates)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=7")
	_ = json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "path": r.URL.EscapedPath(), "query": r.URL.RawQuery, "host": r.Host, "headers": r.Header, "body": string(body), "length": r.ContentLength, "error": fmt.Sprint(err), "certificates": peers})
}

func zip(w http.ResponseWriter, words string) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, words)
	_ = z.Close()
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(b.Bytes())
}

// talk grants another protocol, in which it says each line in capitals until "bye".
func talk(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("refuse") {
		http.Error(w, "not today", http.StatusForbidden)
		return
	}
	c, in, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Own: y\r\n\r\n", r.Header.Get("Upgrade"))
	for {
		line, err := in.ReadString('\n')
		_, _ = io.WriteString(c, strings.ToUpper(line))
		if err != nil || line == "bye\n" {
			return
		}
	}
}
