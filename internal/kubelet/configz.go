package kubelet

import (
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// configuration is what /configz shows: the settings of a KubeletConfiguration that this kubelet has, under their names
// there.
type configuration struct {
	Kind                   string            `json:"kind"`
	APIVersion             string            `json:"apiVersion"`
	StaticPodPath          string            `json:"staticPodPath,omitempty"`
	Address                string            `json:"address,omitempty"`
	Port                   int               `json:"port,omitempty"`
	ClusterDomain          string            `json:"clusterDomain,omitempty"`
	ClusterDNS             []string          `json:"clusterDNS,omitempty"`
	NodeStatusUpdate       string            `json:"nodeStatusUpdateFrequency"`
	NodeStatusReport       string            `json:"nodeStatusReportFrequency"`
	NodeLeaseSeconds       int               `json:"nodeLeaseDurationSeconds"`
	ImageMinimumGCAge      string            `json:"imageMinimumGCAge"`
	ImageGCHigh            int               `json:"imageGCHighThresholdPercent"`
	ImageGCLow             int               `json:"imageGCLowThresholdPercent"`
	CgroupRoot             string            `json:"cgroupRoot"`
	CgroupsPerQOS          bool              `json:"cgroupsPerQOS"`
	CgroupDriver           string            `json:"cgroupDriver"`
	MaxPods                int               `json:"maxPods"`
	PodCIDR                string            `json:"podCIDR,omitempty"`
	PodPidsLimit           int64             `json:"podPidsLimit"`
	ResolvConf             string            `json:"resolvConf"`
	SeccompDefault         bool              `json:"seccompDefault"`
	EvictionHard           map[string]string `json:"evictionHard"`
	EvictionPressurePeriod string            `json:"evictionPressureTransitionPeriod"`
	SystemReserved         map[string]string `json:"systemReserved,omitempty"`
	KubeReserved           map[string]string `json:"kubeReserved,omitempty"`
	ContainerLogMaxSize    string            `json:"containerLogMaxSize"`
	ContainerLogMaxFiles   int               `json:"containerLogMaxFiles"`
	FailSwapOn             bool              `json:"failSwapOn"`
	EnableServer           bool              `json:"enableServer"`
}

// Config implements server.Host.
func (h host) Config() any {
	c := h.k.cfg
	out := configuration{Kind: "KubeletConfiguration", APIVersion: "kubelet.config.k8s.io/v1beta1", StaticPodPath: c.ManifestDir, ClusterDomain: c.ClusterDomain,
		NodeStatusUpdate: leasePeriod.String(), NodeStatusReport: reportPeriod.String(), NodeLeaseSeconds: leaseLength,
		ImageMinimumGCAge: imageAge.String(), ImageGCHigh: fullDisk, ImageGCLow: enoughDisk, CgroupRoot: c.CgroupRoot, CgroupsPerQOS: true, CgroupDriver: "cgroupfs",
		MaxPods: c.MaxPods, PodCIDR: c.PodCIDR, PodPidsLimit: c.PodPids, ResolvConf: c.ResolvConf, SeccompDefault: true, EvictionHard: c.EvictionHard,
		EvictionPressurePeriod: pressureLasts.String(), SystemReserved: quantities(c.SystemReserved), KubeReserved: quantities(c.KubeReserved),
		ContainerLogMaxSize: fmt.Sprint(maxLogSize>>20, "Mi"), ContainerLogMaxFiles: maxLogFiles, EnableServer: c.Listen != ""}
	for _, a := range c.ClusterDNS {
		out.ClusterDNS = append(out.ClusterDNS, a.String())
	}
	if addr, port, err := net.SplitHostPort(c.Listen); err == nil {
		out.Address = addr
		out.Port, _ = strconv.Atoi(port)
	}
	return out
}

func quantities(list corev1.ResourceList) map[string]string {
	out := map[string]string{}
	for name, q := range list {
		out[string(name)] = q.String()
	}
	return out
}
