// Package users gives pods that have a user namespace the ids of the node that theirs stand for.
//
// A pod gets 65,536 users and groups that no other pod has. Which ones stands in the pod's directory, in upstream's file
// and format, before anything runs with them, and is forgotten with the directory. The kubelet opens one Ranges at its
// start. Methods are safe for concurrent use. Tests give Open a temporary directory.
package users

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/kubelet/durable"
)

// Length is how many ids a pod has, and the first range that pods may have: the ids below are the node's own.
const Length = 65536

// last is the number of the last range. Id 4294967295 means "none" to the kernel, so the range that has it is left out.
const last = 1<<16 - 2

// file is the name in a pod's directory.
const file = "userns"

// Ranges knows whose which range is.
type Ranges struct {
	pods string // the directory of all pods' directories

	mu    sync.Mutex
	taken map[uint32]types.UID // by the range's number
	of    map[types.UID]uint32
}

// Open reads what an earlier process has given. The Ranges is good even where some files cannot be read, which the error
// names: those pods get no sandbox until they are deleted, and nobody else gets a range that is known to be theirs.
func Open(pods string) (*Ranges, error) {
	r := &Ranges{pods: pods, taken: map[uint32]types.UID{}, of: map[types.UID]uint32{}}
	entries, err := os.ReadDir(pods)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	var bad []error
	for _, e := range entries {
		uid := types.UID(e.Name())
		n, ok, err := r.read(uid)
		if err == nil && ok && r.taken[n] != "" {
			err = fmt.Errorf("%s: pod %s has the same ids", r.path(uid), r.taken[n])
		}
		if err != nil {
			bad = append(bad, err)
		}
		if err == nil && ok {
			r.taken[n], r.of[uid] = uid, n
		}
	}
	return r, errors.Join(bad...)
}

// Take returns the pod's ids; the first time it chooses some and writes them down.
func (r *Ranges) Take(uid types.UID) (*runtimeapi.UserNamespace, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.of[uid]; ok {
		return namespace(n), nil
	}
	if _, ok, err := r.read(uid); err != nil || ok { // written, and not among those that Open could believe
		return nil, errors.Join(fmt.Errorf("user namespace: %s cannot be trusted, delete the pod", r.path(uid)), err)
	}
	n, ok := r.free(uid)
	if !ok {
		return nil, errors.New("user namespace: all ids of this node are taken")
	}
	if err := r.write(uid, n); err != nil {
		return nil, fmt.Errorf("user namespace: %w", err)
	}
	r.taken[n], r.of[uid] = uid, n
	return namespace(n), nil
}

// Release gives the pod's ids back. Its directory, and with it all that could bring them back, is gone by now.
func (r *Ranges) Release(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.of[uid]; ok {
		delete(r.taken, n)
		delete(r.of, uid)
	}
}

// free begins where the pod's own name leads, so that the pods of two kubelets on one machine hardly ever share ids.
func (r *Ranges) free(uid types.UID) (uint32, bool) {
	h := fnv.New32a()
	h.Write([]byte(uid))
	for i := range uint32(last) {
		if n := 1 + (h.Sum32()%last+i)%last; r.taken[n] == "" {
			return n, true
		}
	}
	return 0, false
}

func namespace(n uint32) *runtimeapi.UserNamespace {
	ids := func() []*runtimeapi.IDMapping { return []*runtimeapi.IDMapping{{HostId: n * Length, Length: Length}} }
	return &runtimeapi.UserNamespace{Mode: runtimeapi.NamespaceMode_POD, Uids: ids(), Gids: ids()}
}

// record is the file, as upstream's kubelet writes it.
type record struct {
	UIDs []mapping `json:"uidMappings"`
	GIDs []mapping `json:"gidMappings"`
}

type mapping struct {
	Host      uint32 `json:"hostId"`
	Container uint32 `json:"containerId"`
	Length    uint32 `json:"length"`
}

func (r *Ranges) path(uid types.UID) string { return filepath.Join(r.pods, string(uid), file) }

func (r *Ranges) read(uid types.UID) (n uint32, ok bool, err error) {
	raw, err := os.ReadFile(r.path(uid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	var rec record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return 0, false, fmt.Errorf("%s: %w", r.path(uid), err)
	}
	if len(rec.UIDs) != 1 || len(rec.GIDs) != 1 || rec.UIDs[0] != rec.GIDs[0] {
		return 0, false, fmt.Errorf("%s: not one range for users and groups", r.path(uid))
	}
	m := rec.UIDs[0]
	n = m.Host / Length
	if m.Container != 0 || m.Length != Length || m.Host%Length != 0 || n < 1 || n > last {
		return 0, false, fmt.Errorf("%s: %d ids from %d on are not a pod's", r.path(uid), m.Length, m.Host)
	}
	return n, true, nil
}

// write makes the file whole or not at all.
func (r *Ranges) write(uid types.UID, n uint32) error {
	m := []mapping{{Host: n * Length, Length: Length}}
	raw, err := json.Marshal(record{UIDs: m, GIDs: m})
	if err != nil {
		return err
	}
	return durable.Replace(r.path(uid), raw)
}
