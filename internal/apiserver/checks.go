package apiserver

import (
	"context"
	"errors"
	"time"

	"minato.dev/minato/internal/apiserver/health"
)

// etcdPatience is how long the store may take to answer before the server counts as ill.
const etcdPatience = 2 * time.Second

// startHooks are upstream's names of what has to be done once before the server is ready, of those that this server does.
var startHooks = []string{"start-apiserver-admission-initializer", "generic-apiserver-start-informers", "start-system-namespaces-controller",
	"start-cluster-authentication-info-controller", "storage-readiness", "start-service-ip-repair-controllers", "rbac/bootstrap-roles",
	"scheduling/bootstrap-system-priority-classes", "priority-and-fairness-config-producer", "bootstrap-controller", "start-kubernetes-service-cidr-controller"}

// checks are the conditions of /livez and /readyz, in upstream's order, with those of the configuration behind.
func (s *Server) checks() []health.Check {
	out := []health.Check{
		{Name: "log", Live: true, Check: func(context.Context) error { return nil }},
		{Name: "etcd", Live: true, Check: s.storeAnswers},
		{Name: "etcd-readiness", Check: s.storeAnswers},
		{Name: "informer-sync", Check: s.started},
	}
	for _, name := range startHooks {
		out = append(out, health.Check{Name: "poststarthook/" + name, Live: true, Check: s.started})
	}
	out = append(out, s.cfg.Checks...)
	return append(out, health.Check{Name: "shutdown", Check: s.notStopping})
}

func (s *Server) storeAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdPatience)
	defer cancel()
	_, err := s.cfg.Store.Revision(ctx)
	return err
}

func (s *Server) started(context.Context) error {
	if s.ready.Load() {
		return nil
	}
	return errors.New("not finished")
}

func (s *Server) notStopping(context.Context) error {
	if r := s.running.Load(); r != nil && r.watches.Err() != nil {
		return errors.New("process is shutting down")
	}
	return nil
}
