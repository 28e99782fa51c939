package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/features"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"minato.dev/minato/internal/run"
)

// Config is how Open runs etcd inside the program. The zero value of every field but Dir and Log is usable.
type Config struct {
	// Dir is the data directory; it belongs to this store alone.
	Dir string
	// ListenClients are URLs for other programs: unix:///path/to/socket, or http://127.0.0.1:2379 on loopback. None by default.
	ListenClients []string
	// QuotaBytes bounds the database file; 0 means 8 GiB.
	QuotaBytes int64
	// Log receives etcd's warnings and errors and the store's own messages.
	Log *slog.Logger
}

const (
	memberName   = "minato"
	defaultQuota = 8 << 30
	// walSegment is small against etcd's 64 MB: preallocating two of those is most of the start on a disk.
	walSegment = 8 << 20
	// A lone member needs no heartbeats, so the raft clock ticks once a second; campaign does not wait for it.
	tick, electionTicks = time.Second, 2
	// Entries kept in memory for followers: there are none. Snapshots bound what a start has to replay.
	catchUpEntries, snapshotEntries = 64, 2000
)

// smallSegments sets etcd's package variable once, before the first member of this process starts.
var smallSegments = sync.OnceFunc(func() { wal.SegmentSizeBytes = walSegment })

// Open starts a single etcd member on cfg.Dir, which is made where missing, and returns when it serves. ctx bounds the
// start alone; the store lives until Close. Errors: ErrInUse, the context's, etcd's. etcd has no listener unless
// cfg.ListenClients asks for one, so any number of stores can live on one machine.
func Open(ctx context.Context, cfg Config) (*Etcd, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil { // secrets are in there
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	logs := newZapCore(cfg.Log)
	member, err := startMember(ctx, cfg, zap.New(logs))
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("store: start etcd in %s: %w", cfg.Dir, err)
	}
	client := v3client.New(member)
	// The in-process client has no health service to tell and would panic, so the file is rewritten without it.
	client.Maintenance = inProcess{client.Maintenance, member}
	s := newEtcd(client, run.NewScope(context.WithoutCancel(ctx)), cfg.Log)
	s.member = member.Watchable()
	s.disk = newDisk(cfg.Dir)
	s.committer = newCommitter(func() { member.Backend().ForceCommit() })
	s.scope.Go("store committer", s.committer.run)
	s.beforeClose = func() { logs.closing.Store(true) }
	s.release = func() error {
		member.HardStop()
		return lock.Close()
	}
	s.readThrough = func() {
		if err := forgetMapping(filepath.Join(cfg.Dir, "member", "snap", "db")); err != nil {
			cfg.Log.Debug("the database's pages stay mapped", "err", err)
		}
	}
	s.readThrough() // bbolt has the kernel map all of a file that is mostly holes
	if err := s.listen(member, cfg.ListenClients); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// inProcess is the maintenance of the member in this process.
type inProcess struct {
	clientv3.Maintenance
	member *etcdserver.EtcdServer
}

func (m inProcess) Defragment(context.Context, string) (*clientv3.DefragmentResponse, error) {
	return &clientv3.DefragmentResponse{}, m.member.Backend().Defrag()
}

// lockDir takes the directory for this process; the kernel gives it back however the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("store: %s: %w", dir, ErrInUse)
	}
	return f, nil
}

// startMember returns a member that leads and has published itself.
func startMember(ctx context.Context, cfg Config, log *zap.Logger) (*etcdserver.EtcdServer, error) {
	smallSegments()
	calmWatchers()
	sc, err := memberConfig(cfg, log)
	if err != nil {
		return nil, err
	}
	member, err := lead(ctx, sc)
	if err != nil {
		return nil, err
	}
	if err := serving(ctx, member); err != nil {
		member.HardStop()
		return nil, err
	}
	return member, nil
}

// lead starts the member and makes it leader.
func lead(ctx context.Context, sc config.ServerConfig) (*etcdserver.EtcdServer, error) {
	starts.Lock()
	defer starts.Unlock()
	member, err := etcdserver.NewServer(sc)
	if err != nil {
		return nil, err
	}
	member.Start()
	if err := campaign(ctx, member); err != nil {
		member.HardStop()
		return nil, err
	}
	return member, nil
}

// memberConfig is the configuration of a lone member. Its peer URL only names it: nothing listens there.
func memberConfig(cfg Config, log *zap.Logger) (config.ServerConfig, error) {
	peers, err := types.NewURLs([]string{"http://127.0.0.1:2380"})
	if err != nil {
		return config.ServerConfig{}, err
	}
	clients, err := clientURLs(cfg.ListenClients)
	if err != nil {
		return config.ServerConfig{}, err
	}
	quota := cfg.QuotaBytes
	if quota == 0 {
		quota = defaultQuota
	}
	return config.ServerConfig{
		Name:                   memberName,
		ClientURLs:             clients,
		PeerURLs:               peers,
		DataDir:                cfg.Dir,
		SnapshotCount:          snapshotEntries,
		SnapshotCatchUpEntries: catchUpEntries,
		MaxSnapFiles:           2,
		MaxWALFiles:            2,
		InitialPeerURLsMap:     types.URLsMap{memberName: peers},
		InitialClusterToken:    clusterToken(),
		NewCluster:             true,
		TickMs:                 uint(tick.Milliseconds()),
		ElectionTicks:          electionTicks,
		QuotaBackendBytes:      quota,
		BackendBatchInterval:   backendInterval,
		BackendFreelistType:    bbolt.FreelistMapType,
		MaxTxnOps:              128,
		MaxRequestBytes:        MaxValueBytes,
		MaxConcurrentStreams:   1 << 16,
		StrictReconfigCheck:    true,
		BcryptCost:             10,
		// A compaction at work must not hold up the writes of others.
		CompactionBatchLimit:        1000,
		CompactionSleepInterval:     10 * time.Millisecond,
		WarningApplyDuration:        time.Second,
		WarningUnaryRequestDuration: time.Second,
		WatchProgressNotifyInterval: 10 * time.Minute,
		ServerFeatureGate:           features.NewDefaultServerFeatureGate(memberName, log),
		Metrics:                     "basic",
		Logger:                      log,
		PreVote:                     true,
	}, nil
}

// clusterToken makes the cluster's id unlike that of any other on the machine. It matters at the first start alone.
func clusterToken() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return hex.EncodeToString(b[:])
}

// clientURLs are what the member says of itself; etcd wants at least one.
func clientURLs(listen []string) (types.URLs, error) {
	if len(listen) == 0 {
		listen = []string{"unix://in-process"}
	}
	urls := make(types.URLs, 0, len(listen))
	for _, l := range listen {
		u, err := url.Parse(l)
		if err != nil {
			return nil, fmt.Errorf("listen URL: %w", err)
		}
		urls = append(urls, *u)
	}
	return urls, nil
}
