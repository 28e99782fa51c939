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
	"minato.dev/minato/internal/store"
)

// Fill writes keys as the API server stores them; put may be called from several goroutines.
type Fill func(put func(key string, value []byte) error) error

// A Side is one cluster. Both sides are started, asked and counted by the same code.
type Side struct {
	Name     string
	URL      string
	Net      *measure.Netns
	Cgroup   *cgroup.Group
	API      time.Duration // from the latest start until the API was ready
	Starting time.Duration // what the latest start took of all programs until Up returned
	tls      *tls.Config
	up       func(context.Context) error
	down     func(context.Context) error
	close    func() error
	words    func() string
	known    func() (*tls.Config, string, error) // how to connect and where DNS answers; an error while it is not known yet
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

// Up starts it, or starts it again after Down. Ours is complete then, with node and DNS; upstream's has been started.
func (s *Side) Up(ctx context.Context) error {
	before, err := s.Cgroup.CPU()
	if err != nil {
		return err
	}
	if err := s.up(ctx); err != nil {
		return err
	}
	after, err := s.Cgroup.CPU()
	if err != nil {
		return err
	}
	s.Starting = after - before
	conn, _, err := s.known()
	s.tls = conn
	return err
}

// Down stops it and keeps its data.
func (s *Side) Down(ctx context.Context) error { return s.down(ctx) }

// Close stops the cluster and removes what it made.
func (s *Side) Close() error { return s.close() }

// Words is what the side's programs said last.
func (s *Side) Words() string { return s.words() }

// Ours starts a one-node cluster of ours on what fill writes (nil: nothing).
func Ours(ctx context.Context, program string, fill Fill) (*Side, error) {
	s, data, err := prepareOurs(ctx, program)
	if err != nil {
		return nil, err
	}
	if fill != nil {
		if err := errors.Join(s.Up(ctx), s.Down(ctx), seed(ctx, filepath.Join(data, "etcd"), fill)); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.Up(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// PrepareOurs makes a one-node cluster of ours that has never been started.
func PrepareOurs(ctx context.Context, program string) (*Side, error) {
	s, _, err := prepareOurs(ctx, program)
	return s, err
}

func prepareOurs(ctx context.Context, program string) (s *Side, data string, err error) {
	c, err := measure.NewCluster(ctx, program, "ours")
	if err != nil {
		return nil, "", err
	}
	g, err := cgroup.New(measure.Tag() + "-" + filepath.Base(c.DataDir))
	if err != nil {
		return nil, "", errors.Join(err, c.Close())
	}
	s = &Side{Name: "ours", URL: "https://127.0.0.1:" + strconv.Itoa(c.Port), Net: c.Net, Cgroup: g,
		down:  c.Down,
		close: func() error { return errors.Join(c.Close(), g.Close()) },
		words: func() string { return tail(logFile(c.DataDir)) }}
	s.up = func(ctx context.Context) error { return s.startOurs(ctx, c) }
	s.known = func() (*tls.Config, string, error) {
		id, err := readIdentity(c.DataDir)
		if err != nil {
			return nil, "", err
		}
		conn, err := fromKubeconfig(adminKubeconfig(c.DataDir))
		return conn, id.dns(), err
	}
	return s, c.DataDir, nil
}

func (s *Side) startOurs(ctx context.Context, c *measure.Cluster) error {
	up := c.Up(ctx)
	out, err := os.CreateTemp("", "up.log")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	up.Stdout, up.Stderr = out, out
	if err := s.Cgroup.Start(up); err != nil {
		return err
	}
	if err := up.Wait(); err != nil {
		return fmt.Errorf("minato up: %w: %s", err, tail(out.Name()))
	}
	if s.API, err = phase(out.Name(), "API"); err != nil {
		return err
	}
	id, err := readIdentity(c.DataDir)
	if err != nil {
		return err
	}
	s.Cgroup.Count("/minato-" + id.ID) // containers and their shim
	return nil
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

// UpstreamScheduling starts upstream's control plane on what fill writes, and then its scheduler.
func UpstreamScheduling(ctx context.Context, bin string, fill Fill) (*Side, error) {
	if err := upstream.Build(ctx, bin, append(upstream.Plane, "kube-scheduler")...); err != nil {
		return nil, err
	}
	return theirs(ctx, bin, fill, (*upstream.Cluster).StartScheduler)
}

// theirs starts upstream's control plane, as ours in a data directory that has been used and filled where there is something
// to fill it with, and what more says after it.
func theirs(ctx context.Context, bin string, fill Fill, more ...func(*upstream.Cluster, context.Context) error) (*Side, error) {
	c, err := upstream.New(ctx, bin)
	if err != nil {
		return nil, err
	}
	s := fromUpstream(c)
	s.up = func(ctx context.Context) error { return s.startTheirs(ctx, c, more) }
	if fill != nil {
		if err := errors.Join(s.Up(ctx), s.Down(ctx), c.StartEtcd(ctx), c.Seed(ctx, fill), s.Down(ctx)); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.Up(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func fromUpstream(c *upstream.Cluster) *Side {
	return &Side{Name: "upstream", URL: c.URL(), Net: c.Net, Cgroup: c.Cgroup, close: c.Close, words: c.NodeWords,
		down:  func(context.Context) error { return c.Stop() },
		known: func() (*tls.Config, string, error) { return c.TLS(), upstream.DNS, nil }}
}

func (s *Side) startTheirs(ctx context.Context, c *upstream.Cluster, more []func(*upstream.Cluster, context.Context) error) error {
	began := time.Now()
	if err := c.StartEtcd(ctx); err != nil {
		return err
	}
	if err := c.StartAPI(ctx); err != nil {
		return err
	}
	s.API = time.Since(began)
	for _, start := range more {
		if err := start(c, ctx); err != nil {
			return err
		}
	}
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
