// Package steps holds the operations on one pod, one file each: what package decide asks for is done here.
//
// The kubelet's pod workers call the methods of Node, each in a goroutine of its own. Every step goes forward and may be
// repeated after a failure or a crash: it looks at what is there before it makes anything. A step that fails because of
// the pod returns a *Failure, which the status shows as the container's waiting reason. Methods are safe for concurrent
// use for different pods and containers. To test against it, give it a CRI server.
package steps

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/credential"
	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/env"
	"minato.dev/minato/internal/kubelet/object"
	"minato.dev/minato/internal/kubelet/users"
	"minato.dev/minato/internal/kubelet/volume"
)

// Node is what all pods of a node share.
type Node struct {
	Name, Hostname string
	IPs            []netip.Addr
	LogDir         string
	ClusterDNS     []netip.Addr
	ClusterDomain  string
	ResolvConf     string
	Memory         int64               // bytes of the machine
	PodPids        int64               // processes and threads that one pod may have; less than 0: no limit
	Allocatable    corev1.ResourceList // what the downward API shows for a missing limit

	// SeccompDefault is the profile of containers that name none; SeccompDir is where Localhost profiles are.
	SeccompDefault runtimeapi.SecurityProfile_ProfileType
	SeccompDir     string

	// RecursiveReadOnly says whether the handler of the pod's runtime class can make mounts read-only with those below them.
	RecursiveReadOnly func(pod *corev1.Pod) bool
	// UserNamespaces says whether a handler can give pods user namespaces of their own, out of Users.
	UserNamespaces func(handler string) bool
	Users          *users.Ranges

	Runtime  runtimeapi.RuntimeServiceClient
	Images   runtimeapi.ImageServiceClient
	Mounter  *volume.Mounter
	Objects  *object.Cache
	Cgroups  *cgroup.Tree
	Services func(pod *corev1.Pod) []*corev1.Service // of its namespace, and the API server's
	Client   *client.Client
	Rec      *client.Recorder
	Logins   credential.Chain // what the node itself knows to show to registries
	Token    volume.Tokens    // of service accounts
	Log      *slog.Logger
}

// Failure is why a container cannot run, in the words of the status.
type Failure struct {
	Reason, Message string
	Quiet           bool // the event was written already
}

func (f *Failure) Error() string { return f.Reason + ": " + f.Message }

func fail(reason, format string, args ...any) error {
	return &Failure{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// AsFailure returns err as a Failure, or nil.
func AsFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// PodLogDir is where the logs of all containers of the pod are.
func (n *Node) PodLogDir(pod *corev1.Pod) string {
	return filepath.Join(n.LogDir, pod.Namespace+"_"+pod.Name+"_"+string(pod.UID))
}

// event writes an event about the pod, or where container is not empty about that container of it.
func (n *Node) event(pod *corev1.Pod, container, eventType, reason, format string, args ...any) {
	ref := client.Reference(pod)
	ref.FieldPath = fieldPath(pod, container)
	n.Rec.EventOn(ref, eventType, reason, format, args...)
}

// Event is event for the kubelet itself.
func (n *Node) Event(pod *corev1.Pod, container, eventType, reason, format string, args ...any) {
	n.event(pod, container, eventType, reason, format, args...)
}

func fieldPath(pod *corev1.Pod, container string) string {
	if container == "" {
		return ""
	}
	list := "containers"
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == container {
			list = "initContainers"
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == container {
			list = "ephemeralContainers"
		}
	}
	return "spec." + list + "{" + container + "}"
}

// source is what the pod's environment and downward API files are evaluated with.
func (n *Node) source(podIPs []string) env.Source {
	return env.Source{PodIPs: podIPs, HostIPs: n.HostIPs(), NodeName: n.Name, Allocatable: n.Allocatable, NotFound: object.NotFound}
}

// HostIPs are the node's addresses as strings.
func (n *Node) HostIPs() []string {
	ips := make([]string, len(n.IPs))
	for i, a := range n.IPs {
		ips[i] = a.String()
	}
	return ips
}
