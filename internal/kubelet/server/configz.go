package server

import "net/http"

// configz shows the kubelet's configuration, in the names of KubeletConfiguration.
func (s *Server) configz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"kubeletconfig": s.Host.Config()})
}
