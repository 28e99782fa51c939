package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/internal/pki"
)

// Ports inside the namespace.
const (
	apiPort  = 7443
	etcdPort = 7379
)

const (
	NodeName    = "upstream-node"
	serviceCIDR = "10.97.0.0/16"
)

// A Cluster is upstream's, in a network namespace and a directory of its own.
type Cluster struct {
	Net    *measure.Netns
	Cgroup *cgroup.Group
	Dir    string // data, certificates and one log for each program
	bin    string
	pki    *pki.Bundle
	procs  []*exec.Cmd // in order of their start
}

// New prepares a cluster of the programs in bin; Close leaves nothing of it.
func New(ctx context.Context, bin string) (*Cluster, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "upstream")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, bin: bin}
	if c.Net, err = measure.NewNetns(ctx, filepath.Base(dir)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if c.Cgroup, err = cgroup.New(measure.Tag() + "-" + filepath.Base(dir)); err != nil {
		return nil, errors.Join(err, c.Net.Close(), os.RemoveAll(dir))
	}
	c.pki, err = pki.EnsureAll(filepath.Join(dir, "pki"), pki.Names{Node: NodeName, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
		ServiceIP: net.IPv4(10, 97, 0, 1)})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// URL is where its API answers.
func (c *Cluster) URL() string { return "https://127.0.0.1:" + strconv.Itoa(apiPort) }

// TLS is the administrator's side of a connection to it.
func (c *Cluster) TLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.pki.Admin.TLS}, RootCAs: c.pki.CA.Pool(), MinVersion: tls.VersionTLS12}
}

// start runs a program of the cluster with its output in a log.
func (c *Cluster) start(ctx context.Context, program string, arg ...string) error {
	log, err := os.OpenFile(filepath.Join(c.Dir, filepath.Base(program)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	if !filepath.IsAbs(program) {
		program = filepath.Join(c.bin, program)
	}
	cmd := c.Net.Command(context.WithoutCancel(ctx), append([]string{program}, arg...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, log, log
	cmd.Env = append(os.Environ(), "PATH="+c.bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Cgroup.Start(cmd); err != nil {
		return err
	}
	c.procs = append(c.procs, cmd)
	return nil
}

// StartEtcd starts the store alone.
func (c *Cluster) StartEtcd(ctx context.Context) error {
	client, peer := "http://127.0.0.1:"+strconv.Itoa(etcdPort), "http://127.0.0.1:"+strconv.Itoa(etcdPort+1)
	return c.start(ctx, "etcd", "--data-dir", filepath.Join(c.Dir, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer, "--log-level", "error")
}

// Seed gives fill a way to write keys into etcd before anything reads them.
func (c *Cluster) Seed(ctx context.Context, fill func(put func(key string, value []byte) error) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cl, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://127.0.0.1:" + strconv.Itoa(etcdPort)}, Context: ctx,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return c.Net.DialContext(ctx, "tcp", addr)
		})}})
	if err != nil {
		return err
	}
	defer cl.Close()
	return fill(func(key string, value []byte) error {
		_, err := cl.Put(ctx, key, string(value))
		return err
	})
}

// StartAPI starts kube-apiserver and waits until it calls itself ready.
func (c *Cluster) StartAPI(ctx context.Context) error {
	k := c.pki.ServiceAccountKeyFile
	err := c.start(ctx, "kube-apiserver", "--etcd-servers=http://127.0.0.1:"+strconv.Itoa(etcdPort), "--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1", "--secure-port="+strconv.Itoa(apiPort), "--tls-cert-file="+c.pki.APIServer.CertFile,
		"--tls-private-key-file="+c.pki.APIServer.KeyFile, "--client-ca-file="+c.pki.CA.CertFile, "--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+k, "--service-account-signing-key-file="+k, "--service-cluster-ip-range="+serviceCIDR,
		"--allow-privileged=true", "--kubelet-client-certificate="+c.pki.Admin.CertFile, "--kubelet-client-key="+c.pki.Admin.KeyFile, "--kubelet-preferred-address-types=InternalIP", "--endpoint-reconciler-type=none",
		"--max-requests-inflight=4000", "--max-mutating-requests-inflight=2000")
	if err != nil {
		return err
	}
	return c.ready(ctx)
}

func (c *Cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	hc := &http.Client{Transport: &http.Transport{DialContext: c.Net.DialContext, TLSClientConfig: c.TLS(), DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL()+"/readyz", nil)
	if err != nil {
		return err
	}
	for {
		if resp, err := hc.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("upstream's API did not answer: %w: %s", ctx.Err(), c.lastWords("kube-apiserver"))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// lastWords is the end of a program's log.
func (c *Cluster) lastWords(program string) string {
	b, err := os.ReadFile(filepath.Join(c.Dir, program+".log"))
	if err != nil {
		return "" // it was not started
	}
	return program + ": " + string(b[max(0, len(b)-1000):])
}

// Stop ends all programs, and then the containers that outlive them: to the data it is a reboot.
func (c *Cluster) Stop() error {
	var errs []error
	for i := len(c.procs) - 1; i >= 0; i-- {
		errs = append(errs, end(c.procs[i]))
	}
	c.procs = nil
	return errors.Join(append(errs, c.Cgroup.Kill())...)
}

// Close stops everything and removes data, cgroups and namespace.
func (c *Cluster) Close() error {
	errs := []error{c.Stop(), c.wipeTraces(), c.Cgroup.Close()}
	mounted := Unmount(c.Dir)
	errs = append(errs, mounted, c.Net.Close())
	if mounted == nil { // through a mount that is left nothing may be removed
		errs = append(errs, os.RemoveAll(c.Dir))
	}
	return errors.Join(errs...)
}

// end asks a program to stop and insists after a while.
func end(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(5 * time.Second):
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-done
	return nil
}
