package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/run"
)

// The rhythm of the node: everything that has to be done now and then is done on one timer.
const (
	leasePeriod  = 10 * time.Second
	leaseLength  = 40 // seconds
	reportPeriod = 5 * time.Minute
)

// nodeState is what the node's loop remembers.
type nodeState struct {
	node      *corev1.Node
	reported  time.Time
	images    []corev1.ContainerImage
	uses      map[string]imageUse // by image id
	collected time.Time
	evicted   time.Time
	reclaimed time.Time // images, for want of disk
	measure   time.Time // before then local storage is not measured again
	kick      chan struct{}
}

// startNode registers the node and keeps its status and lease fresh.
func (k *Kubelet) startNode(s *run.Scope) error {
	k.listImages(s.Context())
	if err := k.introduce(s.Context()); err != nil {
		return err
	}
	s.Go("node", k.keepNode)
	return nil
}

// introduce registers the node as soon as the API serves it. The pods that are known go on meanwhile, and the node looks
// after itself.
func (k *Kubelet) introduce(ctx context.Context) error {
	kept := time.Now()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := k.register(ctx)
		if err == nil || ctx.Err() != nil || !client.MayPass(err) {
			return err
		}
		k.cfg.Log.Warn("node not registered, will try again", "err", err, "pause", pause)
		if time.Since(kept) >= leasePeriod {
			kept = time.Now()
			k.housekeep(ctx)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// register makes the Node object, or brings what an earlier start has made up to date.
func (k *Kubelet) register(ctx context.Context) error {
	want := k.nodeObject(time.Now())
	nodes := client.Of(k.c, client.Nodes)
	got, err := nodes.Create(ctx, want)
	if err != nil {
		// Whatever the reason, an API whose disk is full for one, it may know us from an earlier start.
		known, e := nodes.Get(ctx, "", k.cfg.NodeName)
		if e != nil {
			return fmt.Errorf("register node %s: %w", k.cfg.NodeName, err)
		}
		k.keep(known)
		return k.tolerate(k.catchUp(ctx, known, want.Labels))
	}
	k.keep(got)
	if len(got.Status.Conditions) == 0 {
		return k.reportNode(ctx, time.Now())
	}
	k.self.reported = time.Now()
	return nil
}

// catchUp brings a Node of an earlier start up to date.
func (k *Kubelet) catchUp(ctx context.Context, known *corev1.Node, labels map[string]string) error {
	got, err := k.relabel(ctx, known, labels)
	if err != nil {
		return err
	}
	k.keep(got)
	return k.reportNode(ctx, time.Now())
}

// tolerate lets the node go on while the API cannot write: its pods run, and its status is reported again and again.
func (k *Kubelet) tolerate(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code >= http.StatusInternalServerError {
		k.cfg.Log.Warn("node status not written, will try again", "err", err)
		return nil
	}
	return err
}

// keep remembers the Node as the API has it.
func (k *Kubelet) keep(n *corev1.Node) {
	k.self.node = n
	k.shown.Store(n)
}

// relabel sets the labels that a kubelet owns.
func (k *Kubelet) relabel(ctx context.Context, node *corev1.Node, labels map[string]string) (*corev1.Node, error) {
	missing := map[string]string{}
	for key, v := range labels {
		if node.Labels[key] != v {
			missing[key] = v
		}
	}
	if len(missing) == 0 {
		return node, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": missing}})
	if err != nil {
		return nil, err
	}
	return client.Of(k.c, client.Nodes).Patch(ctx, "", node.Name, types.StrategicMergePatchType, patch)
}

func (k *Kubelet) nodeObject(now time.Time) *corev1.Node {
	labels := map[string]string{
		corev1.LabelHostname: k.cfg.Hostname, corev1.LabelArchStable: k.machine.Arch, corev1.LabelOSStable: "linux",
		"beta.kubernetes.io/arch": k.machine.Arch, "beta.kubernetes.io/os": "linux",
	}
	for key, v := range k.cfg.NodeLabels {
		labels[key] = v
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: k.cfg.NodeName, Labels: labels}}
	if k.cfg.PodCIDR != "" {
		n.Spec.PodCIDR, n.Spec.PodCIDRs = k.cfg.PodCIDR, []string{k.cfg.PodCIDR}
	}
	n.Status = k.nodeStatus(corev1.NodeStatus{}, now)
	return n
}

func (k *Kubelet) capacity() corev1.ResourceList {
	m := k.machine
	list := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(m.CPUs), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(m.Memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(m.Disk, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(int64(k.cfg.MaxPods), resource.DecimalSI),
	}
	for name, size := range m.HugePages {
		list[corev1.ResourceName(name)] = *resource.NewQuantity(size, resource.BinarySI)
	}
	return list
}

// nodeStatus derives the node's status; what others have set in old stays.
func (k *Kubelet) nodeStatus(old corev1.NodeStatus, now time.Time) corev1.NodeStatus {
	st := *old.DeepCopy()
	st.Capacity, st.Allocatable = k.capacity(), k.allocatable()
	for _, c := range k.conditions(now) {
		setNodeCondition(&st, c, now)
	}
	st.Addresses = nil
	for _, ip := range k.cfg.NodeIPs {
		st.Addresses = append(st.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	st.Addresses = append(st.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: k.cfg.Hostname})
	if _, port, err := net.SplitHostPort(k.cfg.Listen); err == nil {
		n, _ := strconv.ParseInt(port, 10, 32)
		st.DaemonEndpoints.KubeletEndpoint.Port = int32(n)
	}
	m := k.machine
	st.NodeInfo = corev1.NodeSystemInfo{MachineID: m.MachineID, SystemUUID: m.SystemUUID, BootID: m.BootID, KernelVersion: m.Kernel, OSImage: m.OSImage,
		ContainerRuntimeVersion: k.runtimeName + "://" + k.runtime.RuntimeVersion, KubeletVersion: k.cfg.Version, OperatingSystem: "linux", Architecture: m.Arch}
	if m.Swap > 0 {
		st.NodeInfo.Swap = &corev1.NodeSwapStatus{Capacity: &m.Swap}
	}
	st.Images = k.self.images
	if h := k.handlers.Load(); h != nil {
		st.RuntimeHandlers = *h
	}
	yes := true
	st.DeclaredFeatures = declaredFeatures
	st.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: &yes}
	return st
}

// declaredFeatures are those that an API server and a scheduler ask a node for by name, sorted.
var declaredFeatures = []string{"InPlacePodLevelResourcesVerticalScaling", "InPlacePodVerticalScalingInitContainers", "RestartAllContainersOnContainerExits"}

// setNodeCondition writes c; its transition time moves only with its status.
func setNodeCondition(st *corev1.NodeStatus, c corev1.NodeCondition, now time.Time) {
	stamp := metav1.NewTime(now).Rfc3339Copy()
	c.LastHeartbeatTime, c.LastTransitionTime = stamp, stamp
	i := slices.IndexFunc(st.Conditions, func(o corev1.NodeCondition) bool { return o.Type == c.Type })
	if i < 0 {
		st.Conditions = append(st.Conditions, c)
		return
	}
	if st.Conditions[i].Status == c.Status {
		c.LastTransitionTime = st.Conditions[i].LastTransitionTime
	}
	st.Conditions[i] = c
}

// keepNode renews the lease and looks after the node each period; the status is written on a change, or after five
// minutes.
func (k *Kubelet) keepNode(ctx context.Context) error {
	tick := time.NewTicker(leasePeriod)
	defer tick.Stop()
	k.rec.EventOn(k.nodeRef(), corev1.EventTypeNormal, "Starting", "Starting kubelet.")
	for {
		now := time.Now()
		if err := k.renewLease(ctx, now); err != nil && ctx.Err() == nil {
			k.cfg.Log.Warn("lease not renewed", "err", err)
		}
		k.housekeep(ctx)
		if err := k.reportNode(ctx, now); err != nil && ctx.Err() == nil {
			k.cfg.Log.Warn("node status not written", "err", err)
		}
		select {
		case <-tick.C:
		case <-k.self.kick:
		case <-k.cfg.RuntimeChanged:
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *Kubelet) nodeRef() corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: k.cfg.NodeName, UID: types.UID(k.cfg.NodeName)}
}

// reportNode writes the node's status where it differs in more than heartbeats, or where the last write is long ago.
func (k *Kubelet) reportNode(ctx context.Context, now time.Time) error {
	old := k.self.node
	st := k.nodeStatus(old.Status, now)
	if now.Sub(k.self.reported) < reportPeriod && apiequality.Semantic.DeepEqual(still(st), still(old.Status)) {
		return nil
	}
	before, err := json.Marshal(corev1.Node{Status: old.Status})
	if err != nil {
		return err
	}
	after, err := json.Marshal(corev1.Node{Status: st})
	if err != nil {
		return err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Node{})
	if err != nil {
		return err
	}
	got, err := client.Of(k.c, client.Nodes).Patch(ctx, "", k.cfg.NodeName, types.StrategicMergePatchType, patch, "status")
	if apierrors.IsNotFound(err) {
		return k.register(ctx) // somebody deleted us; we are still here
	}
	if err != nil {
		return err
	}
	k.announce(old.Status, st)
	k.keep(got)
	k.self.reported = now
	return nil
}

// announce writes the events of a node that becomes ready or stops being so.
func (k *Kubelet) announce(old, now corev1.NodeStatus) {
	for _, c := range now.Conditions {
		i := slices.IndexFunc(old.Conditions, func(o corev1.NodeCondition) bool { return o.Type == c.Type })
		if c.Type != corev1.NodeReady || i >= 0 && old.Conditions[i].Status == c.Status {
			continue
		}
		reason := "NodeNotReady"
		if c.Status == corev1.ConditionTrue {
			reason = "NodeReady"
		}
		k.rec.EventOn(k.nodeRef(), corev1.EventTypeNormal, reason, "Node %s status is now: %s", k.cfg.NodeName, reason)
	}
}

// still is st without what moves on its own.
func still(st corev1.NodeStatus) corev1.NodeStatus {
	st.Conditions = slices.Clone(st.Conditions)
	for i := range st.Conditions {
		st.Conditions[i].LastHeartbeatTime = metav1.Time{}
	}
	return st
}
