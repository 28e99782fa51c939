package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// door makes a URL of the runtime's streaming server reachable from here, until the case ends: upstream's client dials
// by itself, and each runtime is in a network of its own.
func (r *run) door(raw string) *url.URL {
	u, err := url.Parse(raw)
	r.must("url", err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must("listen", err)
	target := u.Host
	u.Host = l.Addr().String()
	context.AfterFunc(r.ctx, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.through(c, target)
		}
	}()
	return u
}

func (r *run) through(c net.Conn, target string) {
	defer c.Close()
	far, err := r.dial(r.ctx, "tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(r.ctx, func() { c.Close(); far.Close() })
	defer stop()
	back := make(chan struct{})
	go func() { io.Copy(c, far); c.Close(); close(back) }()
	io.Copy(far, c)
	far.Close()
	<-back
}

func (r *run) executor(raw string) remotecommand.Executor {
	u := r.door(raw)
	e, err := remotecommand.NewSPDYExecutor(&rest.Config{Host: u.Host}, "POST", u)
	r.must("executor", err)
	return e
}

func (r *run) execURL(q *api.ExecRequest) string {
	x, err := r.Exec(r.ctx, q)
	r.must("exec", err)
	return x.Url
}

// ending writes how a session ended.
func (r *run) ending(err error) {
	var code exec.CodeExitError
	switch {
	case err == nil:
		r.say("ended")
	case errors.As(err, &code):
		r.say("ended with %d", code.Code)
	default:
		r.say("failed")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// sizes is a terminal that is resized once.
type sizes chan *remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize { return <-s }

var streams = []check{
	{"exec", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		e := r.executor(r.execURL(&api.ExecRequest{ContainerId: id, Cmd: []string{"sh", "-c", "echo out; echo err >&2; cat; exit 42"}, Stdin: true, Stdout: true, Stderr: true}))
		var out, errs bytes.Buffer
		err := e.StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("in\n"), Stdout: &out, Stderr: &errs})
		r.ending(err)
		r.say("%q %q", out.String(), errs.String())
	}, "ended with 42\n\"out\\nin\\n\" \"err\\n\"\n"},
	{"exec that succeeds", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		e := r.executor(r.execURL(&api.ExecRequest{ContainerId: id, Cmd: []string{"dd", "if=/dev/zero", "bs=1024", "count=4096"}, Stdout: true}))
		var out bytes.Buffer
		r.ending(e.StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdout: &out}))
		r.say("%d bytes", out.Len())
	}, "ended\n4194304 bytes\n"},
	{"exec of nothing there", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		e := r.executor(r.execURL(&api.ExecRequest{ContainerId: id, Cmd: []string{"no-such-program"}, Stdout: true, Stderr: true}))
		err := e.StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
		r.ending(err)
		r.say("says what %t", err != nil && strings.Contains(err.Error(), "no-such-program"))
	}, "failed\nsays what true\n"},
	{"exec on a terminal", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		e := r.executor(r.execURL(&api.ExecRequest{ContainerId: id, Cmd: []string{"sh"}, Tty: true, Stdin: true, Stdout: true}))
		size := make(sizes, 1)
		size <- &remotecommand.TerminalSize{Width: 91, Height: 33}
		in, keys := io.Pipe()
		var out lockedBuffer
		done := make(chan error, 1)
		go func() {
			done <- e.StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdin: in, Stdout: &out, Tty: true, TerminalSizeQueue: size})
		}()
		r.until("the terminal has its size", func() bool {
			fmt.Fprint(keys, "stty size\n")
			return strings.Contains(out.String(), "33 91")
		})
		fmt.Fprint(keys, "exit 3\n")
		r.ending(<-done)
		close(size)
	}, "ended with 3\n"},
	{"what cannot be asked", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		_, err := r.Exec(r.ctx, &api.ExecRequest{ContainerId: id, Cmd: []string{"true"}})
		r.code("no stream", err)
		_, err = r.Exec(r.ctx, &api.ExecRequest{ContainerId: id, Cmd: []string{"true"}, Tty: true, Stdout: true, Stderr: true})
		r.code("a terminal with two outputs", err)
		_, err = r.Attach(r.ctx, &api.AttachRequest{ContainerId: id})
		r.code("attach to no stream", err)
	}, "no stream: InvalidArgument\na terminal with two outputs: InvalidArgument\nattach to no stream: InvalidArgument\n"},
	{"a URL works once", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		u := r.execURL(&api.ExecRequest{ContainerId: id, Cmd: []string{"true"}, Stdout: true})
		r.ending(r.executor(u).StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdout: io.Discard}))
		r.ending(r.executor(u).StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdout: io.Discard}))
	}, "ended\nfailed\n"},
	{"exec over a WebSocket", func(r *run) {
		id := r.begin(r.shell("exec sleep 1000"))
		u := r.door(r.execURL(&api.ExecRequest{ContainerId: id, Cmd: []string{"sh", "-c", "read x; echo out $x; exit 9"}, Stdin: true, Stdout: true, Stderr: true}))
		d := websocket.Dialer{Subprotocols: []string{"v4.channel.k8s.io"}}
		u.Scheme = "ws"
		c, _, err := d.DialContext(r.ctx, u.String(), nil)
		r.must("dial", err)
		defer c.Close()
		r.must("write", c.WriteMessage(websocket.BinaryMessage, []byte("\x00line\n")))
		heard := map[byte]string{}
		for {
			_, p, err := c.ReadMessage()
			if err != nil {
				break
			}
			heard[p[0]] += string(p[1:])
		}
		r.say("%q, code %t", heard[1], strings.Contains(heard[3], `"message":"9"`))
	}, "\"out line\\n\", code true\n"},
	{"attach", func(r *run) {
		c := r.shell(`while read x; do echo "got $x"; test "$x" = end && exit 6; done`)
		c.Stdin = true
		id := r.begin(c)
		x, err := r.Attach(r.ctx, &api.AttachRequest{ContainerId: id, Stdin: true, Stdout: true, Stderr: true})
		r.must("attach", err)
		e := r.executor(x.Url)
		in, say := io.Pipe()
		var out lockedBuffer
		done := make(chan error, 1)
		go func() {
			done <- e.StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdin: in, Stdout: &out, Stderr: io.Discard})
		}()
		r.until("it hears", func() bool { fmt.Fprint(say, "one\n"); return strings.Contains(out.String(), "got one\n") })
		fmt.Fprint(say, "end\n")
		r.ending(<-done)
		r.say("exit %d, last line %t, in the log %t", r.ended(id).ExitCode, strings.HasSuffix(out.String(), "got end\n"), strings.Contains(r.log(id), "got end\n"))
	}, "ended\nexit 6, last line true, in the log true\n"},
	{"attach to standard input once", func(r *run) {
		c := r.shell("cat; echo over")
		c.Stdin, c.StdinOnce = true, true
		id := r.begin(c)
		x, err := r.Attach(r.ctx, &api.AttachRequest{ContainerId: id, Stdin: true, Stdout: true})
		r.must("attach", err)
		var out lockedBuffer
		r.ending(r.executor(x.Url).StreamWithContext(r.ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("all\n"), Stdout: &out}))
		r.ended(id)
		r.until("the log", func() bool { return strings.HasSuffix(r.log(id), "over\n") })
		r.say("%q", r.log(id))
	}, "ended\n\"all\\nover\\n\"\n"},
	{"port-forward", func(r *run) {
		pod, pc := r.pod(nil)
		id := r.create(pod, pc, r.shell("exec httpd -f -p 127.0.0.1:8080 -h /data"))
		r.start(id)
		r.until("it serves", func() bool {
			return strings.HasPrefix(r.exec(id, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/part"), "a part")
		})
		x, err := r.PortForward(r.ctx, &api.PortForwardRequest{PodSandboxId: pod, Port: []int32{8080}})
		r.must("forward", err)
		u := r.door(x.Url)
		transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{Host: u.Host})
		r.must("transport", err)
		stop, ready := make(chan struct{}), make(chan struct{})
		f, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", u), []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
		r.must("forwarder", err)
		done := make(chan error, 1)
		go func() { done <- f.ForwardPorts() }()
		select {
		case <-ready:
		case err := <-done:
			r.must("forward", err)
		}
		ports, err := f.GetPorts()
		r.must("ports", err)
		for range 3 {
			hc := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := hc.Get(fmt.Sprintf("http://127.0.0.1:%d/part", ports[0].Local))
			r.must("get", err)
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			r.say("%s", body)
		}
		close(stop)
		<-done
	}, "a part of an image\na part of an image\na part of an image\n"},
}
