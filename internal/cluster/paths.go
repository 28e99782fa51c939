package cluster

import "path/filepath"

// runRoot holds one directory for each cluster that runs, on a file system that a reboot clears.
const runRoot = "/run/minato"

// Paths are the places of one cluster on disk. Everything durable is under Data, everything else under Run.
type Paths struct{ Data, Run string }

// File names under the data directory that users meet.
func (p Paths) AdminKubeconfig() string { return filepath.Join(p.Data, "admin.kubeconfig") }
func (p Paths) Log() string             { return filepath.Join(p.Data, "log", "minato.log") }
func (p Paths) PodLogs() string         { return filepath.Join(p.Data, "log", "pods") }
func (p Paths) Images() string          { return filepath.Join(p.Data, "images") }
func (p Paths) PKI() string             { return filepath.Join(p.Data, "pki") }
func (p Paths) Manifests() string       { return filepath.Join(p.Data, manifests) } // static pods

// HostLog is what a host of containers without a cluster writes.
func (p Paths) HostLog() string { return filepath.Join(p.Data, "log", "host.log") }

func (p Paths) runLogs() string  { return filepath.Join(p.Data, "log", "run") } // of `minato run`
func (p Paths) volumes() string  { return filepath.Join(p.Data, "volumes") }    // of `minato run`
func (p Paths) etcd() string     { return filepath.Join(p.Data, "etcd") }
func (p Paths) runtime() string  { return filepath.Join(p.Data, "runtime") }
func (p Paths) network() string  { return filepath.Join(p.Data, "network") }
func (p Paths) kubelet() string  { return filepath.Join(p.Data, "kubelet") }
func (p Paths) bin() string      { return filepath.Join(p.Data, "bin") }
func (p Paths) identity() string { return filepath.Join(p.Data, "cluster.json") }
func (p Paths) lock() string     { return filepath.Join(p.Data, "lock") }
func (p Paths) shim() string     { return filepath.Join(p.Run, "shim") }
func (p Paths) netns() string    { return filepath.Join(p.Run, "net") }

// CRISocket is where the container runtime answers.
func (p Paths) CRISocket() string { return filepath.Join(p.Run, "cri.sock") }

// RunDir is the volatile directory of the cluster with this identity.
func (id Identity) paths(data string) Paths {
	return Paths{Data: data, Run: filepath.Join(runRoot, id.ID)}
}

// otherKubelet is the root of a kubelet that is not ours, which mounts it on itself.
func (p Paths) otherKubelet() string { return filepath.Join(p.kubelet(), "other") }
