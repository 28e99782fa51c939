package server

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
)

// checkpoint asks the runtime to write the state of a container to a file and answers with its path.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	of, ok := s.pod(w, r)
	if !ok {
		return
	}
	id, _, err := s.Host.Container(of, r.PathValue("container"), false)
	if err != nil {
		refuse(w, err)
		return
	}
	ns, pod, container := r.PathValue("ns"), r.PathValue("pod"), r.PathValue("container")
	file := fmt.Sprintf("checkpoint-%s_%s-%s-%s-%s.tar", pod, ns, container, time.Now().Format(time.RFC3339), rand.Text()[:6])
	req := &runtimeapi.CheckpointContainerRequest{ContainerId: id, Location: filepath.Join(s.CheckpointDir, file)}
	if list := r.URL.Query()["timeout"]; len(list) > 0 {
		n, err := strconv.ParseInt(list[len(list)-1], 10, 64)
		if err != nil {
			http.Error(w, "cannot parse value of timeout parameter", http.StatusNotFound)
			return
		}
		req.Timeout = n
	}
	if err := os.MkdirAll(s.CheckpointDir, 0o700); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := s.Runtime.CheckpointContainer(r.Context(), req); err != nil {
		http.Error(w, fmt.Sprintf("checkpointing of %s/%s/%s failed (%s)", ns, pod, container, cri.Message(err)), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]string{"items": {req.Location}}) // the caller may have gone
}
