package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"minato.dev/minato/internal/run"
)

// healthState is what a service's health check node port answers: nothing where port is 0.
type healthState struct {
	port  uint16
	local int // ready endpoints on this node
}

// health serves the health check node ports, by which load balancers learn which nodes have endpoints.
type health struct {
	scope *run.Scope
	log   *slog.Logger

	mu      sync.Mutex
	servers map[serviceName]*healthServer
}

type healthServer struct {
	state healthState
	stop  context.CancelFunc
}

func newHealth(s *run.Scope, log *slog.Logger) *health {
	return &health{scope: s, log: log, servers: map[serviceName]*healthServer{}}
}

// set starts, changes or stops the answer for service n.
func (h *health) set(n serviceName, want healthState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.servers[n]
	if old != nil && old.state.port == want.port {
		old.state = want
		return
	}
	if old != nil {
		old.stop()
		delete(h.servers, n)
	}
	if want.port == 0 {
		return
	}
	ctx, cancel := context.WithCancel(h.scope.Context())
	h.servers[n] = &healthServer{state: want, stop: cancel}
	h.scope.Go("health check of "+n.ns+"/"+n.name, func(context.Context) error {
		if err := h.serve(ctx, n, want.port); err != nil {
			h.log.Error("health check node port not served", "service", n.ns+"/"+n.name, "port", want.port, "err", err)
		}
		return nil
	})
}

func (h *health) serve(ctx context.Context, n serviceName, port uint16) error {
	var cfg net.ListenConfig
	l, err := cfg.Listen(ctx, "tcp", ":"+strconv.Itoa(int(port)))
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.answer(w, n)
	})}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// answer says what upstream's proxy says: 200 where this node has ready endpoints, 503 where not.
func (h *health) answer(w http.ResponseWriter, n serviceName) {
	h.mu.Lock()
	local := 0
	if s := h.servers[n]; s != nil {
		local = s.state.local
	}
	h.mu.Unlock()
	var body struct {
		Service struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"service"`
		LocalEndpoints      int  `json:"localEndpoints"`
		ServiceProxyHealthy bool `json:"serviceProxyHealthy"`
	}
	body.Service.Namespace, body.Service.Name = n.ns, n.name
	body.LocalEndpoints, body.ServiceProxyHealthy = local, true
	raw, err := json.MarshalIndent(body, "", "\t")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.Itoa(local))
	if local == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintf(w, "%s", raw)
}
