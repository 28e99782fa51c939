package sides

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
)

// Fleet writes nodes and then pods that run on them in equal shares. The nodes' kubelets have been away for long, and
// the pods tolerate that and are not ready, so no controller has anything to do with either on any side.
func Fleet(pods, nodes int) Fill {
	return func(put func(string, []byte) error) error {
		if err := Nodes(nodes)(put); err != nil {
			return err
		}
		return fillPods(pods, func(i int, p *corev1.Pod) {
			p.Spec.NodeName = nodeName(i % nodes)
			for k := range p.Status.Conditions {
				if c := &p.Status.Conditions[k]; c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
					c.Status = corev1.ConditionFalse
				}
			}
		})(put)
	}
}

// Nodes writes n nodes of about 4 KB each, with the images that a node reports.
func Nodes(n int) Fill {
	return func(put func(string, []byte) error) error {
		scheme := runtime.NewScheme()
		if err := corev1.AddToScheme(scheme); err != nil {
			return err
		}
		enc := protobuf.NewSerializer(scheme, scheme)
		var g errgroup.Group
		g.SetLimit(32)
		for i := range n {
			g.Go(func() error {
				var b bytes.Buffer
				if err := enc.Encode(node(i), &b); err != nil {
					return err
				}
				return put("/registry/minions/"+nodeName(i), b.Bytes())
			})
		}
		return g.Wait()
	}
}

// Pool is the label that all made-up nodes have, so that pods that want it keep off a real one.
const Pool = "bench.example/pool"

func nodeName(i int) string { return fmt.Sprintf("node-%04d", i) }

func node(i int) *corev1.Node {
	at := metav1.NewTime(time.Unix(1790000000+int64(i), 0))
	size := corev1.ResourceList{"cpu": resource.MustParse("64"), "memory": resource.MustParse("256Gi"), "pods": resource.MustParse("110"),
		"ephemeral-storage": resource.MustParse("900Gi"), "hugepages-2Mi": resource.MustParse("0")}
	n := &corev1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), UID: types.UID(fmt.Sprintf("7a0c2b1e-5c1f-4d36-9b0a-%012d", i)), CreationTimestamp: at,
			Labels: map[string]string{"kubernetes.io/hostname": nodeName(i), "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
				"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": fmt.Sprintf("zone-%d", i%3),
				Pool: "made-up"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at,
				FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(nodeFields)}}}},
		Spec: corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.%d.%d.0/24", 64+i/256, i%256), PodCIDRs: []string{fmt.Sprintf("10.%d.%d.0/24", 64+i/256, i%256)},
			Taints: []corev1.Taint{{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &at},
				{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute, TimeAdded: &at}}},
		Status: corev1.NodeStatus{Capacity: size, Allocatable: size, Addresses: []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: nodeName(i)},
			{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.0.%d.%d", i/256, i%256)}},
			NodeInfo: corev1.NodeSystemInfo{MachineID: strings.Repeat("0f", 16), SystemUUID: strings.Repeat("0f", 16), BootID: strings.Repeat("1e", 16),
				KernelVersion: "6.18.0", OSImage: "Debian GNU/Linux 13", ContainerRuntimeVersion: "containerd://2.4.2", KubeletVersion: "v1.37.2",
				OperatingSystem: "linux", Architecture: "amd64"}},
	}
	for _, t := range []corev1.NodeConditionType{"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"} {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: t, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown",
			Message: "Kubelet stopped posting node status.", LastHeartbeatTime: at, LastTransitionTime: at})
	}
	for k := range 16 {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{SizeBytes: int64(k+1) << 24,
			Names: []string{fmt.Sprintf("registry.example/team/app-%02d@sha256:%s", k, strings.Repeat(fmt.Sprintf("%02x", k), 32)), fmt.Sprintf("registry.example/team/app-%02d:1.%d", k, k)}})
	}
	return n
}

// nodeFields are managedFields as a kubelet leaves them.
const nodeFields = `{"f:metadata":{"f:annotations":{".":{},"f:volumes.kubernetes.io/controller-managed-attach-detach":{}},"f:labels":{".":{},"f:beta.kubernetes.io/arch":{},` +
	`"f:beta.kubernetes.io/os":{},"f:kubernetes.io/arch":{},"f:kubernetes.io/hostname":{},"f:kubernetes.io/os":{}}},"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":` +
	`{"f:lastHeartbeatTime":{},"f:lastTransitionTime":{},"f:message":{},"f:reason":{},"f:status":{}}},"f:images":{}}}`
