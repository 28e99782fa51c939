package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A claim is what a cluster takes of the machine's names and ranges from the moment it is made, before its links exist,
// so that two that start at once never choose the same. Claims lie under /run, which a reboot clears, and go with Down.
type claim struct {
	Bridge      string       `json:"bridge"`
	PodCIDR     netip.Prefix `json:"podCIDR"`
	ServiceCIDR netip.Prefix `json:"serviceCIDR"`
	KubeletPort int          `json:"kubeletPort"`
}

const claimFile = "claim.json"

// claiming runs f with all claims, one process of the machine at a time.
func claiming(f func(others map[string]claim) error) error {
	if err := os.MkdirAll(runRoot, 0o711); err != nil {
		return err
	}
	dir, err := os.Open(runRoot)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", runRoot, err)
	}
	others, err := claims()
	if err != nil {
		return err
	}
	return f(others)
}

func claims() (map[string]claim, error) {
	files, err := filepath.Glob(filepath.Join(runRoot, "*", claimFile))
	if err != nil {
		return nil, err
	}
	out := map[string]claim{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var c claim
		if err := json.Unmarshal(b, &c); err != nil {
			return nil, fmt.Errorf("%s: %w; remove it if no cluster of that name runs", file, err)
		}
		out[filepath.Base(filepath.Dir(file))] = c
	}
	return out, nil
}

func (id Identity) claim() error {
	return writeJSON(filepath.Join(runRoot, id.ID, claimFile), claim{id.Bridge, id.PodCIDR, id.ServiceCIDR, id.KubeletPort})
}
