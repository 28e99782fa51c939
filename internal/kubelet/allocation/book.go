// Package allocation remembers what the node has granted to a pod and what of that has been applied.
//
// A pod's spec says what it wants. What it has is its grant: the resources with which the node let it in, or to which it
// agreed later. The two differ while a resize waits. The kubelet keeps one Book a pod, in the pod's directory; the
// directory's removal forgets it. Methods are safe for concurrent use. Tests give New a temporary directory.
package allocation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/durable"
)

// file is the book's name in the pod's directory.
const file = "resources.json"

// record is what stands on disk.
type record struct {
	Granted Resources `json:"granted"`
	// Applied is what running containers (by id) got after they were made. One that is missing has what it was made with.
	Applied map[string]corev1.ResourceRequirements `json:"applied,omitempty"`
	// Cgroup is what the pod's own cgroup was given.
	Cgroup cgroup.Limits `json:"cgroup"`
}

// Book is the memory of one pod's resources.
type Book struct {
	dir string // the pod's directory

	mu      sync.Mutex
	now     record
	version int // of the grant
	saved   bool
}

// New begins the book of a pod that is let in with what its spec says; cg is what its cgroup is to get.
func New(dir string, pod *corev1.Pod, cg cgroup.Limits) *Book {
	return &Book{dir: dir, now: record{Granted: Of(pod), Cgroup: cg}}
}

// Open reads the book that an earlier process has left. One that is missing or cannot be read begins anew: after a crash of
// the machine nothing of the pod runs, and it is let in again. The error says why an existing one was not read.
func Open(dir string, pod *corev1.Pod, cg cgroup.Limits) (*Book, error) {
	b := New(dir, pod, cg)
	raw, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return b, fmt.Errorf("resources granted to the pod, %s: %w", b.dir, err)
	}
	b.now, b.saved = r, true
	return b, nil
}

// Ensure makes the pod's directory and writes the book where it was not written yet.
func (b *Book) Ensure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.saved {
		return nil
	}
	return b.save()
}

// Granted is pod with the resources that it has: pod itself where those are what its spec says.
func (b *Book) Granted(pod *corev1.Pod) *corev1.Pod {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now.Granted.on(pod)
}

// Version changes with each grant.
func (b *Book) Version() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.version
}

// Grant makes what pod's spec says its grant.
func (b *Book) Grant(pod *corev1.Pod) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.now.Granted
	b.now.Granted = Of(pod)
	if err := b.save(); err != nil {
		b.now.Granted = before
		return err
	}
	b.version++
	return nil
}

// Cgroup is what the pod's cgroup was given.
func (b *Book) Cgroup() cgroup.Limits {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now.Cgroup
}

// Applied is what the container with this id was given last; ok is false where that is what it was made with.
func (b *Book) Applied(id string) (r corev1.ResourceRequirements, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok = b.now.Applied[id]
	return r, ok
}

// Apply notes what was done: containers by id, and the pod's cgroup. Containers that alive does not name are forgotten.
func (b *Book) Apply(done map[string]corev1.ResourceRequirements, cg cgroup.Limits, alive map[string]bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := map[string]corev1.ResourceRequirements{}
	for id, r := range b.now.Applied {
		if alive[id] {
			next[id] = r
		}
	}
	for id, r := range done {
		next[id] = r
	}
	b.now.Applied, b.now.Cgroup = next, cg
	return b.save()
}

// save replaces the file. It is whole at every moment: written beside, forced to the disk, renamed.
func (b *Book) save() error {
	raw, err := json.Marshal(b.now)
	if err != nil {
		return err
	}
	if !b.saved { // later a missing directory means that the pod is over, and that nothing must come back
		if err := os.MkdirAll(b.dir, 0o750); err != nil {
			return err
		}
	}
	if err := durable.Replace(filepath.Join(b.dir, file), raw); err != nil {
		return err
	}
	b.saved = true
	return nil
}
