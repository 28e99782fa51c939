package network

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// lease is what one sandbox has. It describes kernel objects that do not outlive a reboot, so its file is replaced
// atomically but not forced to the disk: one that a power cut damaged means nothing any more and is dropped.
type lease struct {
	ID    string        `json:"id"`
	IP    netip.Addr    `json:"ip"`
	MAC   string        `json:"mac"`
	Ports []PortMapping `json:"ports,omitempty"`
}

func (l lease) hardware() net.HardwareAddr {
	mac, err := net.ParseMAC(l.MAC)
	if err != nil {
		return hardwareAddr(l.IP)
	}
	return mac
}

const leaseSuffix = ".lease"

// leaseFile names a file that any id can have.
func leaseFile(dir, id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(dir, hex.EncodeToString(sum[:16])+leaseSuffix)
}

func readLeases(dir string, log *slog.Logger) (map[string]lease, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := map[string]lease{}
	for _, e := range entries {
		at := filepath.Join(dir, e.Name())
		l, err := readLease(at)
		if err != nil {
			log.Warn("address lease dropped", "file", e.Name(), "err", err)
			if err := os.Remove(at); err != nil {
				return nil, err
			}
			continue
		}
		out[l.ID] = l
	}
	return out, nil
}

func readLease(at string) (lease, error) {
	if !strings.HasSuffix(at, leaseSuffix) {
		return lease{}, errors.New("half written")
	}
	raw, err := os.ReadFile(at)
	if err != nil {
		return lease{}, err
	}
	var l lease
	if err := json.Unmarshal(raw, &l); err != nil {
		return lease{}, err
	}
	if !l.IP.Is4() || leaseFile(filepath.Dir(at), l.ID) != at {
		return lease{}, fmt.Errorf("it speaks of %q at %s", l.ID, l.IP)
	}
	return l, nil
}

func writeLease(dir string, l lease) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	at := leaseFile(dir, l.ID)
	if err := os.WriteFile(at+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(at+".new", at)
}

func dropLease(dir, id string) error {
	err := os.Remove(leaseFile(dir, id))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
