package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/proxy"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
)

// exec opens the runtime's stream for a command and passes the connection through.
func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	id, ok := s.target(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	req := &runtimeapi.ExecRequest{ContainerId: id, Cmd: q["command"], Tty: truth(q.Get("tty")), Stdin: truth(q.Get("input")), Stdout: truth(q.Get("output")), Stderr: truth(q.Get("error"))}
	if req.Tty {
		req.Stderr = false
	}
	if !req.Stdin && !req.Stdout && !req.Stderr {
		http.Error(w, "you must specify at least 1 of stdin, stdout, stderr", http.StatusBadRequest)
		return
	}
	resp, err := s.Runtime.Exec(r.Context(), req)
	if err != nil {
		s.runtimeError(w, err)
		return
	}
	s.pass(w, r, resp.Url)
}

// attach connects to the streams of the container's own process.
func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	id, ok := s.target(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	req := &runtimeapi.AttachRequest{ContainerId: id, Tty: truth(q.Get("tty")), Stdin: truth(q.Get("input")), Stdout: truth(q.Get("output")), Stderr: truth(q.Get("error"))}
	if req.Tty {
		req.Stderr = false
	}
	resp, err := s.Runtime.Attach(r.Context(), req)
	if err != nil {
		s.runtimeError(w, err)
		return
	}
	s.pass(w, r, resp.Url)
}

// portForward connects to ports of the pod.
func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	pod, ok := s.pod(w, r)
	if !ok {
		return
	}
	box, ok := s.Host.Sandbox(pod)
	if !ok {
		http.Error(w, fmt.Sprintf("pod %q has no running sandbox", pod.Namespace+"/"+pod.Name), http.StatusBadRequest)
		return
	}
	var ports []int32
	for _, list := range append(r.URL.Query()["port"], r.URL.Query()["ports"]...) {
		for _, p := range strings.Split(list, ",") {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil || n == 0 {
				http.Error(w, fmt.Sprintf("port %q is not a port number", p), http.StatusBadRequest)
				return
			}
			ports = append(ports, int32(n))
		}
	}
	resp, err := s.Runtime.PortForward(r.Context(), &runtimeapi.PortForwardRequest{PodSandboxId: box, Port: ports})
	if err != nil {
		s.runtimeError(w, err)
		return
	}
	s.pass(w, r, resp.Url)
}

// run executes a command to its end and answers with its output.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	id, ok := s.target(w, r)
	if !ok {
		return
	}
	resp, err := s.Runtime.ExecSync(r.Context(), &runtimeapi.ExecSyncRequest{ContainerId: id, Cmd: strings.Fields(r.URL.Query().Get("cmd"))})
	if err != nil {
		s.runtimeError(w, err)
		return
	}
	if resp.ExitCode != 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = w.Write(append(resp.Stdout, resp.Stderr...))
}

// target finds the running container that the path names, or answers why not.
func (s *Server) target(w http.ResponseWriter, r *http.Request) (string, bool) {
	pod, ok := s.pod(w, r)
	if !ok {
		return "", false
	}
	name := r.PathValue("container")
	id, ok := s.Host.Running(pod, name)
	if !ok {
		http.Error(w, fmt.Sprintf("container not found (%q)", name), http.StatusInternalServerError)
	}
	return id, ok
}

func (s *Server) runtimeError(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if cri.IsNotFound(err) {
		code = http.StatusNotFound
	}
	http.Error(w, cri.Message(err), code)
}

// pass connects the caller with the runtime's streaming server, whatever protocol it upgrades to.
func (s *Server) pass(w http.ResponseWriter, r *http.Request, to string) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" {
		http.Error(w, fmt.Sprintf("the container runtime gave the streaming address %q, which is none", to), http.StatusInternalServerError)
		return
	}
	proxy.NewUpgradeAwareHandler(u, nil, false, true, responder{s}).ServeHTTP(w, r)
}

type responder struct{ s *Server }

// Error answers a stream that could not be set up.
func (p responder) Error(w http.ResponseWriter, _ *http.Request, err error) {
	p.s.Log.Debug("stream failed", "err", err)
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
