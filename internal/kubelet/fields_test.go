package kubelet

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// fate is what becomes of a field: where it is heeded, what refuses it, or whose business it is.
type fate string

// The kinds of fate that do not name a place.
const (
	api       fate = "not for the kubelet: the API server reads it"
	scheduler fate = "not for the kubelet: the scheduler reads it"
	dropped   fate = "dropped by the API server: its feature gate is off by default in this version"
	windows   fate = "not for this node: only Windows reads it"
	below     fate = "a struct of its own, below"
)

// podFields says for every field of every type that a pod's spec is made of what this node does with it. A new version of
// the API brings new fields; the test below fails until somebody has thought about each.
var podFields = map[reflect.Type]map[string]fate{
	reflect.TypeFor[corev1.PodSpec](): {
		"Volumes": "volume.Setup", "InitContainers": below, "Containers": below, "EphemeralContainers": "decide.ephemeral",
		"RestartPolicy": "decide.Restarts", "TerminationGracePeriodSeconds": "worker.stop", "ActiveDeadlineSeconds": "decide.Deadline",
		"DNSPolicy": "steps.dns", "NodeSelector": "Kubelet.misplaced", "ServiceAccountName": "volume.request", "DeprecatedServiceAccount": api,
		"AutomountServiceAccountToken": api, "NodeName": "Kubelet.startPods", "HostNetwork": "steps.namespaces", "HostPID": "steps.namespaces",
		"HostIPC": "steps.namespaces", "ShareProcessNamespace": "steps.namespaces", "SecurityContext": below, "ImagePullSecrets": "steps.keyring",
		"Hostname": "steps.hostname", "Subdomain": "steps.hostname", "Affinity": "Kubelet.misplaced", "SchedulerName": scheduler,
		"Tolerations": "Kubelet.underPressure", "HostAliases": "steps.hosts", "PriorityClassName": api, "Priority": "Kubelet.victim",
		"DNSConfig": "steps.dns", "ReadinessGates": "status.ready", "RuntimeClassName": "steps.handler", "EnableServiceLinks": "env.serviceVars",
		"PreemptionPolicy": scheduler, "Overhead": "steps.podLimits", "TopologySpreadConstraints": scheduler, "SetHostnameAsFQDN": "steps.hostname",
		"OS": "Kubelet.refusal", "HostUsers": "steps.users", "SchedulingGates": scheduler,
		"ResourceClaims": "refused: unbuilt, UnexpectedAdmissionError", "Resources": "steps.podLimits", "HostnameOverride": "steps.hostname",
		"SchedulingGroup": dropped, "EvictionResponders": dropped,
	},
	reflect.TypeFor[corev1.Container](): {
		"Name": "steps.containerConfig", "Image": "steps.Image", "Command": "steps.containerConfig", "Args": "steps.containerConfig",
		"WorkingDir": "steps.containerConfig", "Ports": below, "EnvFrom": below, "Env": below, "Resources": below,
		"ResizePolicy": "worker.resizing", "RestartPolicy": "decide.Restarts", "RestartPolicyRules": below, "VolumeMounts": below,
		"VolumeDevices": "refused: volume.setup, FailedMount (only claims have devices)", "LivenessProbe": below, "ReadinessProbe": below, "StartupProbe": below,
		"Lifecycle": below, "TerminationMessagePath": "steps.mounts", "TerminationMessagePolicy": "steps.ExitMessage", "ImagePullPolicy": "steps.image",
		"SecurityContext": below, "Stdin": "steps.containerConfig", "StdinOnce": "steps.containerConfig", "TTY": "steps.containerConfig",
	},
	reflect.TypeFor[corev1.EphemeralContainer](): {"EphemeralContainerCommon": "a Container in all but name", "TargetContainerName": "worker.target"},
	reflect.TypeFor[corev1.PodSecurityContext](): {
		"SELinuxOptions": "steps.selinux", "WindowsOptions": windows, "RunAsUser": "steps.effective", "RunAsGroup": "steps.effective",
		"RunAsNonRoot": "steps.effective", "SupplementalGroups": "steps.podGroups", "SupplementalGroupsPolicy": "steps.groupsPolicy",
		"FSGroup": "steps.podGroups, volume.group", "Sysctls": "steps.linuxSandbox", "SeccompProfile": "steps.seccomp", "AppArmorProfile": "steps.apparmor",
		"FSGroupChangePolicy": "no effect by definition on the volumes that this node mounts", "SELinuxChangePolicy": "no effect by definition on the volumes that this node mounts",
	},
	reflect.TypeFor[corev1.SecurityContext](): {
		"Capabilities": "steps.security", "Privileged": "steps.security", "SELinuxOptions": "steps.selinux", "WindowsOptions": windows,
		"RunAsUser": "steps.security", "RunAsGroup": "steps.security", "RunAsNonRoot": "steps.checkNonRoot", "ReadOnlyRootFilesystem": "steps.security",
		"AllowPrivilegeEscalation": "steps.security", "ProcMount": "steps.security", "SeccompProfile": "steps.seccomp", "AppArmorProfile": "steps.apparmor",
	},
	reflect.TypeFor[corev1.Capabilities](): {"Add": "steps.security", "Drop": "steps.security"},
	reflect.TypeFor[corev1.VolumeMount](): {
		"Name": "steps.mount", "ReadOnly": "steps.mount", "RecursiveReadOnly": "steps.recursive", "MountPath": "steps.mount", "SubPath": "steps.subPath",
		"MountPropagation": "steps.mount", "SubPathExpr": "steps.subPath", "BindMountOptions": dropped,
	},
	reflect.TypeFor[corev1.Lifecycle](): {"PostStart": "steps.start", "PreStop": "steps.Kill", "StopSignal": "steps.containerConfig (its gate is off by default)"},
	reflect.TypeFor[corev1.LifecycleHandler](): {
		"Exec": "steps.hook", "HTTPGet": "steps.hook", "TCPSocket": "refused: steps.hook, FailedPostStartHook or FailedPreStopHook, as upstream", "Sleep": "steps.hook",
	},
	reflect.TypeFor[corev1.Probe](): {
		"ProbeHandler": below, "InitialDelaySeconds": "probe", "TimeoutSeconds": "probe", "PeriodSeconds": "probe", "SuccessThreshold": "probe",
		"FailureThreshold": "probe", "TerminationGracePeriodSeconds": "worker.condemn",
	},
	reflect.TypeFor[corev1.ProbeHandler]():    {"Exec": "probe.execProbe", "HTTPGet": "probe.httpProbe", "TCPSocket": "probe.tcpProbe", "GRPC": "probe.grpcProbe"},
	reflect.TypeFor[corev1.HTTPGetAction]():   {"Path": "steps.URL", "Port": "steps.Port", "Host": "probe.httpProbe", "Scheme": "steps.URL", "HTTPHeaders": "probe.httpProbe", "Protocol": dropped},
	reflect.TypeFor[corev1.TCPSocketAction](): {"Port": "probe.tcpProbe", "Host": "probe.tcpProbe"},
	reflect.TypeFor[corev1.GRPCAction]():      {"Port": "probe.grpcProbe", "Service": "probe.grpcProbe", "Mode": dropped},
	reflect.TypeFor[corev1.ContainerPort](): {
		"Name": "steps.Port", "HostPort": "steps.hostPorts", "ContainerPort": "steps.hostPorts", "Protocol": "steps.hostPorts", "HostIP": "steps.hostPorts",
	},
	reflect.TypeFor[corev1.ContainerRestartRule]():            {"Action": "decide.action", "ExitCodes": below},
	reflect.TypeFor[corev1.ContainerRestartRuleOnExitCodes](): {"Operator": "decide.ruleMatches", "Values": "decide.ruleMatches"},
	reflect.TypeFor[corev1.ContainerResizePolicy]():           {"ResourceName": "restartsFor", "RestartPolicy": "restartsFor"},
	reflect.TypeFor[corev1.ResourceRequirements]():            {"Limits": "steps.resources", "Requests": "steps.resources", "Claims": "refused: unbuilt, UnexpectedAdmissionError"},
	reflect.TypeFor[corev1.EnvVar]():                          {"Name": "env.Of", "Value": "env.one", "ValueFrom": below},
	reflect.TypeFor[corev1.EnvVarSource](): {
		"FieldRef": "env.Field", "ResourceFieldRef": "env.Resource", "ConfigMapKeyRef": "env.configMapKey", "SecretKeyRef": "env.secretKey", "FileKeyRef": "steps.envFile",
	},
	reflect.TypeFor[corev1.EnvFromSource](): {"Prefix": "env.from", "ConfigMapRef": "env.from", "SecretRef": "env.from"},
	reflect.TypeFor[corev1.PodDNSConfig]():  {"Nameservers": "steps.merge", "Searches": "steps.merge", "Options": "steps.merge"},
	reflect.TypeFor[corev1.HostAlias]():     {"IP": "steps.hosts", "Hostnames": "steps.hosts"},
	reflect.TypeFor[corev1.VolumeSource](): mergeFates(map[string]fate{
		"EmptyDir": below, "HostPath": below, "ConfigMap": below, "Secret": below, "DownwardAPI": below, "Projected": below, "Image": below,
	}, "refused: volume.setup, FailedMount", "PersistentVolumeClaim", "CSI", "Ephemeral", "NFS", "ISCSI", "FC", "GitRepo", "RBD", "CephFS", "Glusterfs",
		"FlexVolume", "AzureFile", "AzureDisk", "GCEPersistentDisk", "AWSElasticBlockStore", "Cinder", "VsphereVolume", "PhotonPersistentDisk",
		"PortworxVolume", "Quobyte", "ScaleIO", "StorageOS", "Flocker"),
	reflect.TypeFor[corev1.EmptyDirVolumeSource]():    {"Medium": "volume.emptyDir", "SizeLimit": "volume.memorySize, Kubelet.overfull", "Mode": dropped},
	reflect.TypeFor[corev1.HostPathVolumeSource]():    {"Path": "volume.Path", "Type": "volume.checkHostPath"},
	reflect.TypeFor[corev1.ImageVolumeSource]():       {"Reference": "steps.imageVolume", "PullPolicy": "steps.Image"},
	reflect.TypeFor[corev1.ConfigMapVolumeSource]():   {"LocalObjectReference": "volume.payload", "Items": "volume.add", "DefaultMode": "volume.payload", "Optional": "volume.fromConfigMap", "DefaultUser": dropped},
	reflect.TypeFor[corev1.SecretVolumeSource]():      {"SecretName": "volume.payload", "Items": "volume.add", "DefaultMode": "volume.payload", "Optional": "volume.fromSecret", "DefaultUser": dropped},
	reflect.TypeFor[corev1.DownwardAPIVolumeSource](): {"Items": "volume.fromDownward", "DefaultMode": "volume.payload", "DefaultUser": dropped},
	reflect.TypeFor[corev1.DownwardAPIVolumeFile]():   {"Path": "volume.fromDownward", "FieldRef": "steps.Downward", "ResourceFieldRef": "steps.Downward", "Mode": "volume.fromDownward", "User": dropped},
	reflect.TypeFor[corev1.KeyToPath]():               {"Key": "volume.add", "Path": "volume.add", "Mode": "volume.add", "User": dropped},
	reflect.TypeFor[corev1.ProjectedVolumeSource]():   {"Sources": below, "DefaultMode": "volume.fromProjected", "DefaultUser": dropped},
	reflect.TypeFor[corev1.VolumeProjection](): {
		"Secret": "volume.fromSecret", "DownwardAPI": "volume.fromDownward", "ConfigMap": "volume.fromConfigMap", "ServiceAccountToken": below,
		"ClusterTrustBundle": "volume.fromTrustBundle", "PodCertificate": "volume.fromPodCertificate",
	},
	reflect.TypeFor[corev1.ServiceAccountTokenProjection](): {"Audience": "volume.request", "ExpirationSeconds": "volume.request", "Path": "volume.fromToken", "User": dropped},
}

func mergeFates(m map[string]fate, f fate, names ...string) map[string]fate {
	for _, n := range names {
		m[n] = f
	}
	return m
}

// TestEveryPodField holds podFields to the types: no field without a fate, no fate without a field.
func TestEveryPodField(t *testing.T) {
	for typ, fates := range podFields {
		var names []string
		for i := range typ.NumField() {
			name := typ.Field(i).Name
			names = append(names, name)
			if fates[name] == "" {
				t.Errorf("%s.%s is new: heed it, refuse it with an error or an event that names it, or say whose business it is", typ.Name(), name)
			}
		}
		for name := range fates {
			if !slices.Contains(names, name) {
				t.Errorf("%s.%s does not exist any more", typ.Name(), name)
			}
		}
	}
	for typ := range podFields {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if podFields[typ][f.Name] == below && podFields[element(f.Type)] == nil {
				t.Errorf("%s.%s: %v has no table of its own", typ.Name(), f.Name, element(f.Type))
			}
		}
	}
}

// element is the struct behind pointers and slices.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

// A volume's table is one level deeper: its source is inlined.
func TestVolumeIsItsSource(t *testing.T) {
	typ := reflect.TypeFor[corev1.Volume]()
	var names []string
	for i := range typ.NumField() {
		names = append(names, typ.Field(i).Name)
	}
	if got := strings.Join(names, " "); got != "Name VolumeSource" {
		t.Errorf("a volume has %s", got)
	}
}
