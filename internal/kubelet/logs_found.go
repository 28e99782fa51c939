package kubelet

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/kubelet/seen"
)

// foundLogs adds the pods that have a log directory, <namespace>_<name>_<uid>. Logs go last: of a pod whose removal was
// cut short they may be all that is left, and nothing else knows its name where the sandbox has gone.
func foundLogs(dir string, found map[types.UID]seen.Identity) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		part := strings.Split(e.Name(), "_")
		if len(part) != 3 || !e.IsDir() {
			continue // not ours
		}
		id := found[types.UID(part[2])]
		if id.Name == "" {
			id.Namespace, id.Name, id.UID = part[0], part[1], types.UID(part[2])
			found[id.UID] = id
		}
	}
	return err
}
