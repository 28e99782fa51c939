package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"minato.dev/minato/internal/pki"
	"sigs.k8s.io/yaml"
)

// otherKubelet runs another kubelet program, upstream's or one like it, in place of ours, on our runtime. One that ends is
// started again; its words are in log/kubelet.log, and what was there before in kubelet.log.1.
func (a *assembly) otherKubelet(ctx context.Context, ready func()) error {
	args, err := a.kubeletFiles()
	if err != nil {
		return err
	}
	log, err := openRotated(filepath.Join(a.paths.Data, "log", "kubelet.log"), 10<<20)
	if err != nil {
		return err
	}
	defer log.Close()
	runtime.LockOSThread() // the program dies with the thread that started it
	defer runtime.UnlockOSThread()
	ready()
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		began := time.Now()
		cmd := exec.CommandContext(ctx, a.cfg.Kubelet, args...)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 20 * time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := cmd.Run()
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > time.Minute {
			pause = time.Second
		}
		a.log.Error("the kubelet ended and is started again", "program", a.cfg.Kubelet, "err", err, "log", log.path, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// kubeletFiles writes what the program reads and returns its arguments.
func (a *assembly) kubeletFiles() ([]string, error) {
	root := a.paths.otherKubelet()
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(a.paths.Manifests(), 0o755); err != nil { // it asks for it every second
		return nil, err
	}
	access := filepath.Join(root, "node.kubeconfig")
	err := pki.Kubeconfig{Context: "node", Server: "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(a.id.Port)), CAPEM: a.pki.CA.CertPEM,
		Client: a.pki.Node}.WriteFile(access)
	if err != nil {
		return nil, err
	}
	data, err := yaml.Marshal(a.kubeletConfig())
	if err != nil {
		return nil, err
	}
	config := filepath.Join(root, "kubelet.yaml")
	if err := os.WriteFile(config, data, 0o600); err != nil {
		return nil, err
	}
	return []string{"--config", config, "--kubeconfig", access, "--root-dir", root, "--cert-dir", filepath.Join(root, "pki"),
		"--hostname-override", a.id.NodeName, "--node-ip", a.nodeIP.String()}, nil
}

// kubeletConfig says, in the words of kubelet.config.k8s.io, what ours is told.
func (a *assembly) kubeletConfig() map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"authentication": map[string]any{"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true},
			"x509": map[string]any{"clientCAFile": a.pki.CA.CertFile}},
		"authorization": map[string]any{"mode": "Webhook"},
		"tlsCertFile":   a.pki.Kubelet.CertFile, "tlsPrivateKeyFile": a.pki.Kubelet.KeyFile,
		"address": a.cfg.BindAddress, "port": a.id.KubeletPort, "readOnlyPort": 0, "healthzPort": 0,
		"cgroupDriver": "cgroupfs", "cgroupRoot": a.id.cgroup(), "enforceNodeAllocatable": []string{}, "failCgroupV1": false, "failSwapOn": false,
		"containerRuntimeEndpoint": "unix://" + a.paths.CRISocket(), "podLogsDir": a.paths.PodLogs(), "staticPodPath": a.paths.Manifests(),
		"volumePluginDir": filepath.Join(a.paths.otherKubelet(), "volumeplugins"), "serializeImagePulls": false,
		// It counts blocks that file systems keep for root as used, and would see a disk as full that is not.
		"evictionHard":                map[string]any{"memory.available": "100Mi", "nodefs.available": "5%", "imagefs.available": "5%", "nodefs.inodesFree": "5%"},
		"imageGCHighThresholdPercent": 95, "imageGCLowThresholdPercent": 90,
		"clusterDNS": []string{a.id.DNSIP().String()}, "clusterDomain": clusterDomain, "resolvConf": "/etc/resolv.conf",
	}
}

// checkKubelet refuses a program that cannot be run.
func checkKubelet(path string) error {
	if path == "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		return errors.New("must be an absolute path")
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not a program", path)
	}
	return nil
}
