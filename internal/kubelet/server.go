package kubelet

import "minato.dev/minato/internal/run"

func (k *Kubelet) startServer(s *run.Scope) error { return nil }
