package sides

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"log/slog"

	"minato.dev/minato/bench/cgroup"
	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/upstream"
	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/store"
)

// Fill writes keys as the API server stores them; put may be called from several goroutines.
type Fill func(put func(key string, value []byte) error) error

// A Side is one running cluster.
type Side struct {
	Name   string
	URL    string
	Net    *measure.Netns
	Cgroup *cgroup.Group
	API    time.Duration // from the start until the API was ready
	Node   time.Duration // from the start until the node was Ready; 0 where there is none
	tls    *tls.Config
	close  func() error
	words  func() string
}

// Flags say what to compare; every command has them.
type Flags struct {
	Minato, Upstream string
}

// Register adds the flags to the command line.
func (f *Flags) Register() {
	flag.StringVar(&f.Minato, "minato", "bin/minato", "our program")
	flag.StringVar(&f.Upstream, "upstream", upstream.Dir(), "folder with upstream's programs; those that it lacks are built")
}

// Both starts ours and upstream's control plane on what fill writes (nil: nothing). Close each.
func Both(ctx context.Context, f Flags, fill Fill) ([]*Side, error) {
	if err := upstream.Build(ctx, f.Upstream, upstream.Plane...); err != nil {
		return nil, err
	}
	ours, err := Ours(ctx, f.Minato, fill)
	if err != nil {
		return nil, err
	}
	theirs, err := theirs(ctx, f.Upstream, fill)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return []*Side{ours, theirs}, nil
}

// Close stops the cluster and removes what it made.
func (s *Side) Close() error { return s.close() }

// Words is what the side's programs said last.
func (s *Side) Words() string { return s.words() }

// Ours starts a one-node cluster of ours.
func Ours(ctx context.Context, program string, fill Fill) (*Side, error) {
	c, err := measure.NewCluster(ctx, program, "ours")
	if err != nil {
		return nil, err
	}
	g, err := cgroup.New(fmt.Sprintf("ours-%d", os.Getpid()))
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	s := &Side{Name: "ours", URL: "https://127.0.0.1:" + strconv.Itoa(c.Port), Net: c.Net, Cgroup: g,
		close: func() error { return errors.Join(c.Close(), g.Close()) },
		words: func() string { return tail(cluster.Paths{Data: c.DataDir}.Log()) }}
	if err := s.startOurs(ctx, c, fill); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Side) startOurs(ctx context.Context, c *measure.Cluster, fill Fill) error {
	if fill != nil {
		if err := errors.Join(measure.Output(c.Up(ctx)), c.Down(ctx), seed(ctx, filepath.Join(c.DataDir, "etcd"), fill)); err != nil {
			return err
		}
	}
	up := c.Up(ctx)
	out, err := os.CreateTemp("", "up.log")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	up.Stdout, up.Stderr = out, out
	began := time.Now()
	if err := s.Cgroup.Start(up); err != nil {
		return err
	}
	if err := up.Wait(); err != nil {
		return fmt.Errorf("minato up: %w: %s", err, tail(out.Name()))
	}
	s.Node = time.Since(began)
	if s.API, err = phase(out.Name(), "API"); err != nil {
		return err
	}
	id, err := cluster.ReadIdentity(c.DataDir)
	if err != nil {
		return err
	}
	s.Cgroup.Count("/minato-" + id.ID) // containers and their shim
	s.tls, err = fromKubeconfig(cluster.Paths{Data: c.DataDir}.AdminKubeconfig())
	return err
}

// phase reads out of what `minato up` printed when it reached a phase.
func phase(log, name string) (time.Duration, error) {
	b, err := os.ReadFile(log)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			return time.ParseDuration(f[1] + f[2])
		}
	}
	return 0, fmt.Errorf("minato up did not say when it reached %q: %s", name, b)
}

// seed writes into the store of a cluster that is down.
func seed(ctx context.Context, dir string, fill Fill) error {
	st, err := store.Open(ctx, store.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	err = fill(func(key string, value []byte) error {
		_, err := st.Create(ctx, key, value, 0)
		return err
	})
	return errors.Join(err, st.Close())
}

// fromKubeconfig is the client's side of a connection as the administrator's file says.
func fromKubeconfig(path string) (*tls.Config, error) {
	k, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, err
	}
	c := k.Contexts[k.CurrentContext]
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(k.Clusters[c.Cluster].CertificateAuthorityData)
	u := k.AuthInfos[c.AuthInfo]
	pair, err := tls.X509KeyPair(u.ClientCertificateData, u.ClientKeyData)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, err
}

func theirs(ctx context.Context, bin string, fill Fill) (*Side, error) {
	c, err := upstream.New(ctx, bin)
	if err != nil {
		return nil, err
	}
	s := fromUpstream(c)
	if err := s.startTheirs(ctx, c, fill); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func fromUpstream(c *upstream.Cluster) *Side {
	return &Side{Name: "upstream", URL: c.URL(), Net: c.Net, Cgroup: c.Cgroup, tls: c.TLS(), close: c.Close, words: c.NodeWords}
}

func (s *Side) startTheirs(ctx context.Context, c *upstream.Cluster, fill Fill) error {
	began := time.Now()
	if err := c.StartEtcd(ctx); err != nil {
		return err
	}
	if fill != nil {
		if err := c.Seed(ctx, fill); err != nil {
			return err
		}
	}
	if err := c.StartAPI(ctx); err != nil {
		return err
	}
	s.API = time.Since(began)
	return nil
}

// Client is an HTTP client that speaks HTTP/2 over TLS to the side as its administrator, as client-go does. compress
// asks for gzip, which client-go does too unless told otherwise.
func (s *Side) Client(compress bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: s.tls.Clone(), ForceAttemptHTTP2: true, DisableCompression: !compress,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return s.Net.DialContext(ctx, network, addr)
		},
	}}
}

// CPU is the time that the side's servers have used since their start; containers are not among them.
func (s *Side) CPU() (time.Duration, error) {
	ps, err := s.Net.Processes()
	return measure.Total(ps).CPU, err
}

// Memory is what the side's servers hold now (PSS), and what they held at most (RSS, shared pages counted for each).
func (s *Side) Memory() (now, peak int64, err error) {
	ps, err := s.Net.Processes()
	if err != nil {
		return 0, 0, err
	}
	for _, p := range ps {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
		if err != nil {
			continue // ended meanwhile
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
				kb, err := strconv.ParseInt(f[1], 10, 64)
				if err != nil {
					return 0, 0, err
				}
				peak += kb << 10
			}
		}
	}
	return measure.Total(ps).PSS, peak, nil
}

func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
