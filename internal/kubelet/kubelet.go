// Package kubelet runs the pods that are bound to one node and tells the API server how they fare.
//
// internal/cluster builds one Kubelet a node with New and runs it with Run. Each pod has a worker that observes
// (CRI, probes, volumes), lets package decide compare, starts the operations that are missing (package steps) and
// writes the status derived from what was seen; nothing that matters lives only in memory, so a restart is one more
// observation. All exported methods are safe for concurrent use. To test against it, give it a CRI server (the one in
// internal/kubelet/kubelettest, or containerd) and the API server on the memory store.
package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/credential"
	"minato.dev/minato/internal/kubelet/cgroup"
	"minato.dev/minato/internal/kubelet/machine"
	"minato.dev/minato/internal/kubelet/object"
	"minato.dev/minato/internal/kubelet/probe"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/steps"
	"minato.dev/minato/internal/kubelet/users"
	"minato.dev/minato/internal/kubelet/volume"
	"minato.dev/minato/internal/run"
)

// Kubelet is the agent of one node.
type Kubelet struct {
	cfg   Config
	c     *client.Client
	views *client.Views
	rec   *client.Recorder

	pods        *client.View[*corev1.Pod]
	runtimeName string
	runtime     *runtimeapi.VersionResponse
	machine     machine.Info
	imageDir    string // on the file system of the images
	evictAt     thresholds
	node        *steps.Node
	mounter     *volume.Mounter
	objects     *object.Cache
	prober      *probe.Prober

	// owned by the node's loop
	self         *nodeState
	lease        *coordinationv1.Lease
	free         machine.Free
	pressed      map[corev1.NodeConditionType]time.Time // when its cause was seen last
	runtimeReady string                                 // why the runtime is not ready; empty: it is

	pressing atomic.Pointer[[]corev1.NodeConditionType] // what the node is short of
	shown    atomic.Pointer[corev1.Node]                // as it was read last
	settled  atomic.Bool                                // what the server says of the pods is known

	resumed      []*corev1.Pod                   // remembered ones that the server was not asked for yet
	services     map[types.UID][]*corev1.Service // remembered ones; not changed any more
	servicesView *client.View[*corev1.Service]
	haunting     sync.Mutex // one ghost is found at a time

	handlers atomic.Pointer[[]corev1.NodeRuntimeHandler]

	pulled atomic.Bool // an image has come since they were listed

	admission sync.Mutex // one pod at a time is let in or resized

	statics *statics

	mu      sync.Mutex
	workers map[types.UID]*worker
	owners  map[string]types.UID // container and sandbox ids
	scope   *run.Scope
}

// New checks cfg. It returns an error that names the field where one is missing or wrong.
func New(cfg Config, c *client.Client, views *client.Views, rec *client.Recorder) (*Kubelet, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Kubelet{cfg: cfg, c: c, views: views, rec: rec, workers: map[types.UID]*worker{}, owners: map[string]types.UID{},
		pressed: map[corev1.NodeConditionType]time.Time{}}, nil
}

// Run adopts the pods that run already, registers the node and follows the pods bound to it until ctx ends. It calls ready
// once, when the server listens, the node is registered and its pods are known. While the API server does not answer, pods
// from files and those that Config.Remember has kept are looked after. Containers keep running when it returns.
func (k *Kubelet) Run(ctx context.Context, ready func()) error {
	return run.With(ctx, func(s *run.Scope) error {
		defer s.Stop()
		if err := k.prepare(s); err != nil {
			return err
		}
		k.scope = s
		s.Go("prober", k.prober.Run)
		k.look(s.Context())
		if err := k.startServer(s); err != nil {
			return err
		}
		found, err := k.found(s.Context())
		if err != nil {
			return err
		}
		if err := k.resumePods(s, found); err != nil {
			return err
		}
		s.Go("container events", k.followEvents)
		if err := k.startNode(s); err != nil {
			return err
		}
		if err := k.startPods(s, found); err != nil {
			return err
		}
		ready()
		<-s.Context().Done()
		return nil
	})
}

// prepare asks the runtime who it is and builds what the workers share.
func (k *Kubelet) prepare(s *run.Scope) error {
	ctx := s.Context()
	version, err := k.cfg.CRI.Version(ctx, &runtimeapi.VersionRequest{})
	if err != nil {
		return fmt.Errorf("container runtime does not answer: %w", err)
	}
	k.runtime, k.runtimeName = version, version.RuntimeName
	for _, dir := range []string{filepath.Join(k.cfg.RootDir, "pods"), k.cfg.LogDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	k.imageDir = k.findImages(ctx)
	if k.machine, err = machine.Read(k.cfg.RootDir, k.imageDir); err != nil {
		return err
	}
	if k.evictAt, err = parseThresholds(k.cfg.EvictionHard, k.machine); err != nil {
		return err
	}
	cgroups, err := cgroup.New(k.cfg.CgroupRoot)
	if err != nil {
		return err
	}
	ranges, err := users.Open(filepath.Join(k.cfg.RootDir, "pods"))
	if err != nil {
		k.cfg.Log.Warn("the user ids of some pods are not known", "err", err)
	}
	k.self, k.servicesView = &nodeState{kick: make(chan struct{}, 1)}, client.ViewOf(k.views, client.Services)
	k.objects = object.New(ctx, k.c, k.cfg.Log)
	s.Go("objects", func(ctx context.Context) error {
		<-ctx.Done()
		return k.objects.Wait()
	})
	k.node = &steps.Node{Name: k.cfg.NodeName, Hostname: k.cfg.Hostname, IPs: k.cfg.NodeIPs, LogDir: k.cfg.LogDir, ClusterDNS: k.cfg.ClusterDNS,
		ClusterDomain: k.cfg.ClusterDomain, ResolvConf: k.cfg.ResolvConf, Memory: k.machine.Memory, PodPids: k.cfg.PodPids, Allocatable: k.allocatable(), RecursiveReadOnly: k.recursiveReadOnly,
		UserNamespaces: k.userNamespaces, Users: ranges,
		SeccompDefault: runtimeapi.SecurityProfile_RuntimeDefault, SeccompDir: filepath.Join(k.cfg.RootDir, "seccomp"),
		Runtime: k.cfg.CRI, Images: k.cfg.CRI, Objects: k.objects, Cgroups: cgroups, Services: k.servicesOf,
		Client: k.c, Rec: k.rec, Log: k.cfg.Log, Token: k.token, Logins: credential.Chain{Sources: k.cfg.Credentials,
			Tell: func(err error) { k.cfg.Log.Warn("credentials for a registry are missing", "err", err) }}}
	k.mounter = volume.New(k.cfg.RootDir, k.objects, k.token, k.node.Downward)
	certs := &certificates{k: k}
	k.mounter.Bundles, k.mounter.Certificates = certs.Bundles, certs
	k.node.Mounter = k.mounter
	k.prober = probe.New(probe.Checker(k.cfg.CRI), k.unhealthy)
	return nil
}

// unhealthy writes the event of a failed probe.
func (k *Kubelet) unhealthy(t probe.Target, output string, err error) {
	w := k.worker(t.Pod)
	if w == nil {
		return
	}
	w.mu.Lock()
	pod := w.next
	w.mu.Unlock()
	if err != nil {
		k.node.Event(pod, t.Spot.Container.Name, corev1.EventTypeWarning, "Unhealthy", "%s probe errored and resulted in %s state: %v", t.Kind, "failure", err)
		return
	}
	k.node.Event(pod, t.Spot.Container.Name, corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %s", t.Kind, output)
}

func (k *Kubelet) worker(uid types.UID) *worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.workers[uid]
}

// startPods follows the pods bound to the node, and ends those that it does not have any more.
func (k *Kubelet) startPods(s *run.Scope, found map[types.UID]seen.Identity) error {
	ctx := s.Context()
	k.pods = client.SelectedViewOf(k.views, client.Pods, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", k.cfg.NodeName).String()})
	if err := k.pods.WaitSynced(ctx); err != nil {
		return err
	}
	if err := k.servicesView.WaitSynced(ctx); err != nil {
		return err
	}
	k.pods.OnChange(func(old, pod *corev1.Pod) { k.changed(old, pod, found) })
	k.dropResumed()
	k.settled.Store(true)
	left, err := k.found(ctx) // anew: until now nobody took note of what came up
	if err != nil {
		return err
	}
	for _, id := range left {
		k.haunt(id)
	}
	for _, w := range k.all() {
		w.wake()
	}
	return nil
}

// found lists the pods of which something is on the node: in the runtime, in the pod directories or among the logs.
func (k *Kubelet) found(ctx context.Context) (map[types.UID]seen.Identity, error) {
	found, err := seen.All(ctx, k.cfg.CRI)
	if err != nil {
		return nil, err
	}
	dirs, err := k.mounter.Pods()
	if err != nil {
		return nil, err
	}
	for _, uid := range dirs {
		if _, ok := found[uid]; !ok {
			found[uid] = seen.Identity{UID: uid}
		}
	}
	return found, foundLogs(k.cfg.LogDir, found)
}

// changed hands a change of the mirror to the pod's worker. An object that was replaced by one of the same name is two
// pods.
func (k *Kubelet) changed(old, pod *corev1.Pod, found map[types.UID]seen.Identity) {
	if isMirror(old) && pod == nil {
		k.statics.mirrored(old, true)
		return
	}
	if isMirror(pod) {
		k.statics.mirrored(pod, false)
		return
	}
	if old != nil && (pod == nil || pod.UID != old.UID) {
		if w := k.worker(old.UID); w != nil {
			w.note(func() { w.gone = true })
		}
	}
	if pod == nil {
		return
	}
	if w := k.worker(pod.UID); w != nil {
		w.heard(pod)
		return
	}
	_, adopt := found[pod.UID]
	k.add(pod, false, adopt || pod.Status.StartTime != nil)
}

func (k *Kubelet) add(pod *corev1.Pod, gone, adopt bool) {
	w := newWorker(k, pod, gone, adopt)
	k.admission.Lock()
	if !gone && !adopt {
		w.evict = k.admit(pod)
	}
	k.mu.Lock()
	k.workers[pod.UID] = w
	k.mu.Unlock()
	k.admission.Unlock()
	k.scope.Go("pod "+pod.Namespace+"/"+pod.Name, func(ctx context.Context) error {
		err := w.run(ctx)
		k.disown(pod.UID)
		k.dismiss(w)
		k.room()
		if w.static && err == nil && ctx.Err() == nil {
			k.statics.ended(pod)
		}
		if err != nil && ctx.Err() == nil {
			w.log.Error("pod worker failed, starting another", "err", err)
			w.mu.Lock()
			next, gone := w.next, w.gone
			w.mu.Unlock()
			k.add(next, gone, true)
		}
		return nil
	})
}
