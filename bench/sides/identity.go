package sides

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// identity is what is needed of the file by which a cluster of ours knows itself. Package cluster is not asked: it would
// link the whole program into each bench.
type identity struct {
	ID          string       `json:"id"`
	ServiceCIDR netip.Prefix `json:"serviceCIDR"`
}

func readIdentity(data string) (id identity, err error) {
	file := filepath.Join(data, "cluster.json")
	b, err := os.ReadFile(file)
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("%s: %w", file, err)
	}
	return id, nil
}

// dns is the address of the cluster's DNS: the tenth of the range of Services.
func (id identity) dns() string {
	a := id.ServiceCIDR.Addr()
	for range 10 {
		a = a.Next()
	}
	return a.String()
}

func adminKubeconfig(data string) string { return filepath.Join(data, "admin.kubeconfig") }

func logFile(data string) string { return filepath.Join(data, "log", "minato.log") }
