// Package server is the kubelet's HTTPS API: logs, exec, attach, port-forward, pods, stats and health.
//
// The API server (and whoever it allows) calls it on port 10250. Callers come with a client certificate of the cluster's
// CA or a bearer token that the API server knows, and are authorised by the API server as for the node's subresources.
// The kubelet calls New and Serve. Handlers are safe for concurrent use. Tests use httptest and a Host of their own.
package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Host is what the server asks the kubelet.
type Host interface {
	// Pods returns the pods of the node with the status derived last.
	Pods() []*corev1.Pod
	// Pod returns one pod; uid may be empty.
	Pod(ns, name string, uid types.UID) (*corev1.Pod, bool)
	// Container returns the id and the log file of a container, or of its previous attempt. The error is an API status.
	Container(pod *corev1.Pod, name string, previous bool) (id, log string, err error)
	// Running returns the id of a container that runs.
	Running(pod *corev1.Pod, name string) (id string, ok bool)
	// Ended is closed when the container does not run, or never where ctx ends first.
	Ended(ctx context.Context, pod *corev1.Pod, id string) <-chan struct{}
	// Sandbox returns the id of the pod's ready sandbox.
	Sandbox(pod *corev1.Pod) (string, bool)
	// Config is the configuration, to be shown as JSON.
	Config() any
	// Healthy says why the kubelet is not healthy; nil: it is.
	Healthy(ctx context.Context) error
}

// Config is what the server needs.
type Config struct {
	Host     Host
	Runtime  runtimeapi.RuntimeServiceClient
	Images   runtimeapi.ImageServiceClient
	Auth     *Auth
	NodeName string
	LogDir   string // what /logs/ shows

	CheckpointDir string // where /checkpoint writes
	Log           *slog.Logger
}

// Server serves the API.
type Server struct {
	Config
	mux *http.ServeMux
}

// New returns a server.
func New(c Config) *Server {
	s := &Server{Config: c, mux: http.NewServeMux()}
	s.routes()
	return s
}

// routes is the whole API.
func (s *Server) routes() {
	h := s.mux.HandleFunc
	h("GET /healthz", s.healthz)
	h("GET /healthz/ping", s.healthz)
	h("GET /healthz/syncloop", s.healthz)
	h("GET /pods", s.pods)
	h("GET /runningpods/", s.pods)
	h("GET /containerLogs/{ns}/{pod}/{container}", s.logs)
	for _, method := range []string{"GET ", "POST "} {
		h(method+"/exec/{ns}/{pod}/{container}", s.exec)
		h(method+"/exec/{ns}/{pod}/{uid}/{container}", s.exec)
		h(method+"/attach/{ns}/{pod}/{container}", s.attach)
		h(method+"/attach/{ns}/{pod}/{uid}/{container}", s.attach)
		h(method+"/portForward/{ns}/{pod}", s.portForward)
		h(method+"/portForward/{ns}/{pod}/{uid}", s.portForward)
	}
	h("POST /run/{ns}/{pod}/{container}", s.run)
	h("POST /run/{ns}/{pod}/{uid}/{container}", s.run)
	h("POST /checkpoint/{ns}/{pod}/{container}", s.checkpoint)
	h("GET /configz", s.configz)
	h("GET /stats/summary", s.summary)
	h("GET /metrics", s.metrics)
	h("GET /metrics/resource", s.resourceMetrics)
	h("GET /metrics/cadvisor", s.resourceMetrics)
	h("GET /metrics/probes", s.metrics)
	s.mux.Handle("GET /logs/", http.StripPrefix("/logs/", http.FileServer(http.Dir(s.LogDir))))
}

// ServeHTTP checks who asks and whether they may, then answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.Auth.check(r); err != nil {
		code := http.StatusForbidden
		if errors.Is(err, errUnknown) {
			code = http.StatusUnauthorized
		}
		http.Error(w, err.Error(), code)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Serve answers on l until ctx ends, showing what cert returns at that moment. Streams under way are cut then.
func (s *Server) Serve(ctx context.Context, l net.Listener, cert func() *tls.Certificate, ca *x509.CertPool) error {
	hs := &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	stop := context.AfterFunc(ctx, func() { hs.Close() })
	defer stop()
	err := hs.Serve(tls.NewListener(l, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert(), nil }, ClientCAs: ca, ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if err := s.Host.Healthy(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, "ok")
}

func (s *Server) pods(w http.ResponseWriter, _ *http.Request) {
	list := corev1.PodList{}
	list.APIVersion, list.Kind = "v1", "PodList"
	list.Items = []corev1.Pod{}
	for _, p := range s.Host.Pods() {
		list.Items = append(list.Items, *p)
	}
	writeJSON(w, list)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// refuse answers with the code and words of an API status.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if st := apierrors.APIStatus(nil); errors.As(err, &st) {
		code = int(st.Status().Code)
	}
	http.Error(w, err.Error(), code)
}

// pod finds the pod that the path names, or answers 404.
func (s *Server) pod(w http.ResponseWriter, r *http.Request) (*corev1.Pod, bool) {
	ns, name := r.PathValue("ns"), r.PathValue("pod")
	pod, ok := s.Host.Pod(ns, name, types.UID(r.PathValue("uid")))
	if !ok {
		http.Error(w, fmt.Sprintf("pod %q does not exist", ns+"/"+name), http.StatusNotFound)
	}
	return pod, ok
}
