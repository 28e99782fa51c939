// Package known remembers on disk what a node needs to run its pods without its API server.
//
// A kubelet that is started while the server is away would know its containers and not what they are for. So it writes
// what it heard of each pod beside the pod's volumes, and reads that at its start. Nothing confidential is among it but
// what stands in the pod itself: Secrets and tokens never come to a disk. The removal of the pod's directory forgets it.
// Functions may be called at the same time for different pods. Tests give them temporary directories.
package known

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/kubelet/durable"
)

// file is the record's name in the pod's directory.
const file = "pod.json"

// Record is what is remembered of one pod.
type Record struct {
	Pod *corev1.Pod `json:"pod"` // as the API had it
	// Services are those that the environment of its containers names.
	Services []*corev1.Service `json:"services,omitempty"`
	// Boot is the machine's boot in which the record was written.
	Boot string `json:"boot"`
}

// Write replaces the record in dir, the pod's directory. Where that is not there, the pod is over: the error is
// fs.ErrNotExist, and nothing is made.
func (r Record) Write(dir string) error {
	pod := *r.Pod
	pod.ManagedFields = nil
	r.Pod = &pod
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(dir, file), raw)
}

// All reads the records of all pods whose directories are in pods. The error names those that cannot be read; the others
// are returned all the same.
func All(pods string) (all []Record, err error) {
	entries, err := os.ReadDir(pods)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, e := range entries {
		r, err := read(filepath.Join(pods, e.Name(), file))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err == nil && string(r.Pod.UID) != e.Name():
			errs = append(errs, fmt.Errorf("%s tells of another pod, %s", filepath.Join(e.Name(), file), r.Pod.UID))
		case err != nil:
			errs = append(errs, err)
		default:
			all = append(all, r)
		}
	}
	return all, errors.Join(errs...)
}

func read(path string) (r Record, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if r.Pod == nil {
		return r, fmt.Errorf("%s names no pod", path)
	}
	return r, nil
}

// Waits says why this pod is not brought back before the server has been asked; empty: it is. boot is that of the machine
// now. Of a pod of a StatefulSet there is one at most: when the machine was down, it may have been declared lost and be
// somewhere else.
func (r Record) Waits(boot string) string {
	if owner := metav1.GetControllerOf(r.Pod); owner != nil && owner.Kind == "StatefulSet" && r.Boot != boot {
		return "the machine was down, and the pod of a StatefulSet may be on another node now"
	}
	return ""
}
