package runtime

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
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// dial speaks SPDY, as kubelets and API servers do.
func dial(u string) (remotecommand.Executor, error) {
	parsed, err := url.Parse(u)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewSPDYExecutor(&rest.Config{Host: parsed.Host}, "POST", parsed)
}

// sleeper is a pod whose container idles.
func (m *machine) sleeper(change func(*api.ContainerConfig)) (pod, container string) {
	m.t.Helper()
	pc := m.pod()
	pod = m.run(pc)
	c := shell("c", "exec sleep 1000")
	if change != nil {
		change(c)
	}
	container = m.create(pod, pc, c)
	m.begin(container)
	return pod, container
}

func (m *machine) execURL(id string, tty, stdin bool, cmd ...string) string {
	m.t.Helper()
	r, err := m.Exec(m.ctx(), &api.ExecRequest{ContainerId: id, Cmd: cmd, Tty: tty, Stdin: stdin, Stdout: true, Stderr: !tty})
	if err != nil {
		m.t.Fatal(err)
	}
	return r.Url
}

func TestExecStreams(t *testing.T) {
	m := newMachine(t)
	_, id := m.sleeper(nil)
	var wait sync.WaitGroup
	for i := range 50 { // many at once, each with its own streams, of which the input ends before the output
		wait.Add(1)
		go func() {
			defer wait.Done()
			e, err := dial(m.execURL(id, false, true, "sh", "-c", "echo out; echo err >&2; cat; exit 42"))
			if err != nil {
				t.Error(err)
				return
			}
			var out, errs bytes.Buffer
			in := fmt.Sprintf("to standard input %d\n", i)
			err = e.StreamWithContext(m.ctx(), remotecommand.StreamOptions{Stdin: strings.NewReader(in), Stdout: &out, Stderr: &errs})
			var code exec.CodeExitError
			if !errors.As(err, &code) || code.Code != 42 || out.String() != "out\n"+in || errs.String() != "err\n" {
				t.Errorf("%v: %q %q", err, out.String(), errs.String())
			}
		}()
	}
	wait.Wait()
	e, err := dial(m.execURL(id, false, false, "dd", "if=/dev/zero", "bs=1024", "count=4096"))
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if err := e.StreamWithContext(m.ctx(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs}); err != nil || out.Len() != 4<<20 {
		t.Errorf("a lot of output: %v, %d bytes", err, out.Len())
	}
	e, err = dial(m.execURL(id, false, false, "no-such-program"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.StreamWithContext(m.ctx(), remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard}); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("no such program: %v", err)
	}
	if _, err := http.Get(m.execURL(id, false, false, "true") + "x"); err != nil {
		t.Error(err)
	}
}

// sizes is a terminal that is resized once.
type sizes chan *remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize { return <-s }

func TestExecOnATerminal(t *testing.T) {
	m := newMachine(t)
	_, id := m.sleeper(nil)
	e, err := dial(m.execURL(id, true, true, "sh"))
	if err != nil {
		t.Fatal(err)
	}
	size := make(sizes, 1)
	size <- &remotecommand.TerminalSize{Width: 91, Height: 33}
	in, type_ := io.Pipe()
	var out lockedBuffer
	done := make(chan error, 1)
	go func() {
		done <- e.StreamWithContext(m.ctx(), remotecommand.StreamOptions{Stdin: in, Stdout: &out, Tty: true, TerminalSizeQueue: size})
	}()
	eventually(t, "the terminal has its size", func() bool {
		fmt.Fprint(type_, "stty size\n")
		return strings.Contains(out.String(), "33 91")
	})
	fmt.Fprint(type_, "exit 3\n")
	var code exec.CodeExitError
	if err := <-done; !errors.As(err, &code) || code.Code != 3 {
		t.Errorf("%v: %q", err, out.String())
	}
	close(size)
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

func TestAttach(t *testing.T) {
	m := newMachine(t)
	_, id := m.sleeper(func(c *api.ContainerConfig) {
		c.Command, c.Stdin = []string{"sh", "-c", `while read x; do echo "got $x"; test "$x" = end && exit 6; done`}, true
	})
	attach := func(stdin bool) string {
		r, err := m.Attach(m.ctx(), &api.AttachRequest{ContainerId: id, Stdin: stdin, Stdout: true, Stderr: true})
		if err != nil {
			t.Fatal(err)
		}
		return r.Url
	}
	var watching, talking lockedBuffer
	done := make(chan error, 2)
	in, say := io.Pipe()
	go func() {
		e, err := dial(attach(false))
		if err == nil {
			err = e.StreamWithContext(m.ctx(), remotecommand.StreamOptions{Stdout: &watching, Stderr: io.Discard})
		}
		done <- err
	}()
	go func() {
		e, err := dial(attach(true))
		if err == nil {
			err = e.StreamWithContext(m.ctx(), remotecommand.StreamOptions{Stdin: in, Stdout: &talking, Stderr: io.Discard})
		}
		done <- err
	}()
	eventually(t, "both hear", func() bool {
		fmt.Fprint(say, "one\n")
		return strings.Contains(watching.String(), "got one") && strings.Contains(talking.String(), "got one")
	})
	fmt.Fprint(say, "end\n")
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if st := m.ended(id); st.ExitCode != 6 {
		t.Errorf("%v", st)
	}
	if !strings.HasSuffix(watching.String(), "got end\n") || !strings.Contains(m.output(id), "got end\n") {
		t.Errorf("the last line: %q, log %q", watching.String(), m.output(id))
	}
}

func TestPortForward(t *testing.T) {
	m := newMachine(t)
	pod, id := m.sleeper(func(c *api.ContainerConfig) {
		c.Command = []string{"httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/data"}
	})
	eventually(t, "the server listens", func() bool {
		_, code := m.exec(id, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/part")
		return code == 0
	})
	r, err := m.PortForward(m.ctx(), &api.PortForwardRequest{PodSandboxId: pod, Port: []int32{8080}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(r.Url)
	if err != nil {
		t.Fatal(err)
	}
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{Host: u.Host})
	if err != nil {
		t.Fatal(err)
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", u), []string{"0:8080", "0:9"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	<-ready
	ports, err := f.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/part", ports[0].Local))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "a part of an image\n" {
			t.Errorf("body %q", body)
		}
	}
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1].Local))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a port where nobody listens answered")
	}
	c.Close()
	close(stop)
	if err := <-done; err != nil && !errors.Is(err, portforward.ErrLostConnectionToPod) { // this client gives up after a refusal
		t.Error(err)
	}
}

func TestExecSyncTimesOut(t *testing.T) {
	m := newMachine(t)
	_, id := m.sleeper(nil)
	begin := time.Now()
	_, err := m.ExecSync(context.Background(), &api.ExecSyncRequest{ContainerId: id, Cmd: []string{"sleep", "4711"}, Timeout: 1})
	if err == nil || !strings.Contains(err.Error(), "DeadlineExceeded") || time.Since(begin) > time.Minute {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	if out, _ := m.exec(id, "ps"); strings.Contains(out, "sleep 4711") {
		t.Errorf("the command lives on: %s", out)
	}
	// A child that keeps the pipes open does not hold the probe.
	begin = time.Now()
	if out, code := m.exec(id, "sh", "-c", "sleep 1000 & echo done"); out != "done\n" || code != 0 || time.Since(begin) > time.Minute {
		t.Errorf("%q %d after %v", out, code, time.Since(begin))
	}
}

// TestExecOverAWebSocket speaks the channel protocol by hand: each message begins with the number of its stream.
func TestExecOverAWebSocket(t *testing.T) {
	m := newMachine(t)
	_, id := m.sleeper(nil)
	u := m.execURL(id, false, true, "sh", "-c", "read x; echo out $x; exit 9")
	d := websocket.Dialer{Subprotocols: []string{"v4.channel.k8s.io"}}
	c, _, err := d.DialContext(m.ctx(), "ws"+strings.TrimPrefix(u, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMessage(websocket.BinaryMessage, []byte("\x00line\n")); err != nil {
		t.Fatal(err)
	}
	heard := map[byte]string{}
	for {
		_, p, err := c.ReadMessage()
		if err != nil {
			break
		}
		heard[p[0]] += string(p[1:])
	}
	if heard[1] != "out line\n" || !strings.Contains(heard[3], `"message":"9"`) {
		t.Errorf("heard %q", heard)
	}
}
