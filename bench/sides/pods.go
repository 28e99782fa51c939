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
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Pods writes n pods of about 3.7 KB each under their upstream keys. They are as complete as running ones, but no
// scheduler answers to their schedulerName, so no controller has anything to do with them on either side.
func Pods(n int) Fill { return fillPods(n, func(int, *corev1.Pod) {}) }

// fillPods writes n pods as edit leaves them.
func fillPods(n int, edit func(int, *corev1.Pod)) Fill {
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
				p := pod(i)
				edit(i, p)
				if err := enc.Encode(p, &b); err != nil {
					return err
				}
				return put(fmt.Sprintf("/registry/pods/default/web-%06d", i), b.Bytes())
			})
		}
		return g.Wait()
	}
}

// fields are managedFields as a controller manager and a kubelet leave them.
const fields = `{"f:metadata":{"f:annotations":{".":{},"f:checksum/config":{}},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{},"f:tier":{}}},` +
	`"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:args":{},"f:env":{".":{},"k:{\"name\":\"MODE\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},` +
	`"f:imagePullPolicy":{},"f:livenessProbe":{".":{},"f:failureThreshold":{},"f:httpGet":{".":{},"f:path":{},"f:port":{},"f:scheme":{}},"f:periodSeconds":{}},` +
	`"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:readinessProbe":{".":{},` +
	`"f:httpGet":{".":{},"f:path":{},"f:port":{}}},"f:resources":{".":{},"f:limits":{".":{},"f:cpu":{},"f:memory":{}},"f:requests":{".":{},"f:cpu":{},"f:memory":{}}}}},` +
	`"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}`

const statusFields = `{"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},` +
	`"k:{\"type\":\"Initialized\"}":{".":{},"f:lastProbeTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:status":{},"f:type":{}}},` +
	`"f:containerStatuses":{},"f:hostIP":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"10.244.0.7\"}":{".":{},"f:ip":{}}},"f:startTime":{}}}`

func pod(i int) *corev1.Pod {
	at := metav1.NewTime(time.Unix(1790000000+int64(i), 0))
	name := fmt.Sprintf("web-%06d", i)
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(fmt.Sprintf("6f0c2b1e-5c1f-4d36-9b0a-%012d", i)),
			CreationTimestamp: at, Labels: map[string]string{"app": "web", "tier": "front", "pod-template-hash": fmt.Sprintf("%010x", i*2654435761%0xffffffff)},
			Annotations: map[string]string{"checksum/config": strings.Repeat(fmt.Sprintf("%08x", i), 8)},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at, FieldsType: "FieldsV1",
					FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}},
				{Manager: "kubelet", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at, FieldsType: "FieldsV1",
					FieldsV1: &metav1.FieldsV1{Raw: []byte(statusFields)}, Subresource: "status"},
			}},
		Spec:   podSpec(i),
		Status: podStatus(i, at),
	}
}

func probe(path string) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(8080), Scheme: "HTTP"}},
		TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
}

func podSpec(i int) corev1.PodSpec {
	grace, links := int64(30), true
	return corev1.PodSpec{
		Containers: []corev1.Container{sidecar(), {Name: "web", Image: "registry.example/team/web:1.27", Args: []string{"--listen=:8080", "--log-level=info"},
			Ports:         []corev1.ContainerPort{{ContainerPort: 8080, Protocol: "TCP"}},
			Env:           []corev1.EnvVar{{Name: "MODE", Value: "production"}, {Name: "INDEX", Value: fmt.Sprint(i)}},
			LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/readyz"),
			Resources: corev1.ResourceRequirements{
				Limits:   corev1.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("256Mi")},
				Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}},
			VolumeMounts:           []corev1.VolumeMount{{Name: "data", MountPath: "/data"}, access},
			TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: "File", ImagePullPolicy: "IfNotPresent"}},
		Volumes:       []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}, accessVolume()},
		RestartPolicy: "Always", DNSPolicy: "ClusterFirst", TerminationGracePeriodSeconds: &grace, SecurityContext: &corev1.PodSecurityContext{},
		SchedulerName: "nobody", EnableServiceLinks: &links, ServiceAccountName: "default", DeprecatedServiceAccount: "default",
		Tolerations: []corev1.Toleration{{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute"},
			{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute"}},
	}
}

// access is where every container finds its service account's token.
var access = corev1.VolumeMount{Name: "kube-api-access-x7k2p", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}

func accessVolume() corev1.Volume {
	mode, seconds := int32(0o644), int64(3607)
	return corev1.Volume{Name: access.Name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: &mode, Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: "token"}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
	}}}}
}

func sidecar() corev1.Container {
	return corev1.Container{Name: "log-shipper", Image: "registry.example/platform/log-shipper:4.2.1", Args: []string{"--input=/data/log/*.log", "--output=collector.logging.svc:4317"},
		Env: []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}},
			{Name: "POD_NAMESPACE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}},
		Resources:    corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("10m"), "memory": resource.MustParse("32Mi")}},
		VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data", ReadOnly: true}, access}, TerminationMessagePath: "/dev/termination-log",
		TerminationMessagePolicy: "File", ImagePullPolicy: "IfNotPresent"}
}

func podStatus(i int, at metav1.Time) corev1.PodStatus {
	ip, started := fmt.Sprintf("10.244.%d.%d", i/250%250, i%250+2), true
	s := corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "10.0.0.7", PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &at, QOSClass: "Burstable",
		ContainerStatuses: []corev1.ContainerStatus{{Name: "log-shipper", Ready: true, Started: &started, Image: "registry.example/platform/log-shipper:4.2.1",
			ImageID: "registry.example/platform/log-shipper@sha256:" + strings.Repeat(fmt.Sprintf("%08x", i), 8), ContainerID: "containerd://" + strings.Repeat(fmt.Sprintf("%08x", i+9), 8),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}}, {Name: "web", Ready: true, Started: &started, Image: "registry.example/team/web:1.27",
			ImageID: "registry.example/team/web@sha256:" + strings.Repeat(fmt.Sprintf("%08x", i), 8), ContainerID: "containerd://" + strings.Repeat(fmt.Sprintf("%08x", i+7), 8),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}}}}
	for _, t := range []corev1.PodConditionType{"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: at})
	}
	return s
}
