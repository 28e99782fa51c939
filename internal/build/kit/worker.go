package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/diff/apply"
	ctdmetadata "github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/diff/walking"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/containerd/platforms"
	"github.com/moby/buildkit/cache/metadata"
	snapshot "github.com/moby/buildkit/snapshot/containerd"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/source/git"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/leaseutil"
	"github.com/moby/buildkit/util/network"
	"github.com/moby/buildkit/worker/base"
	wlabel "github.com/moby/buildkit/worker/label"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// namespace is where BuildKit keeps its own in containerd's metadata.
const namespace = "buildkit"

// worker opens snapshots, content and metadata of the cache, and what runs steps.
func (e *engine) worker(ctx context.Context) (*base.Worker, error) {
	kind, sn, err := snapshotter(e.place.State, e.vault.db("snapshots.db"))
	if err != nil {
		return nil, err
	}
	e.closes = append(e.closes, sn.Close)
	root := filepath.Join(e.place.State, kind)
	blobs, err := local.NewStore(filepath.Join(root, "content"))
	if err != nil {
		return nil, err
	}
	db, err := boltutil.Open(e.vault.db("containerdmeta.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	meta := ctdmetadata.NewDB(db, blobs, map[string]snapshots.Snapshotter{kind: sn})
	if err := meta.Init(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	own, err := metadata.NewStore(e.vault.db("metadata_v2.db"))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	id, err := base.ID(root)
	if err != nil {
		return nil, errors.Join(err, db.Close(), own.Close())
	}
	content := snapshot.NewContentStore(meta.ContentStore(), namespace)
	w, err := newWorker(ctx, base.WorkerOpt{
		ID: id, Root: root, Labels: map[string]string{wlabel.Executor: "oci", wlabel.Snapshotter: kind},
		MetadataStore: own, ContentMetadata: db, Executor: e.steps, NetworkProviders: networks(),
		Snapshotter:  snapshot.NewSnapshotter(kind, meta.Snapshotter(kind), namespace, nil),
		ContentStore: content, Applier: apply.NewFileSystemApplier(content), Differ: walking.NewWalkingDiff(content),
		Platforms: []ocispecs.Platform{platforms.Normalize(platforms.DefaultSpec())}, RegistryHosts: e.node.hosts,
		LeaseManager: leaseutil.WithNamespace(ctdmetadata.NewLeaseManager(meta), namespace), GarbageCollect: meta.GarbageCollect,
		MountPoolRoot: filepath.Join(root, "cachemounts"),
	})
	if err != nil {
		return nil, errors.Join(err, db.Close(), own.Close())
	}
	// Only the exporter shall see it: base images come from the node as from a registry.
	w.ImageStore = &images{node: e.node, content: content}
	return w, nil
}

// newWorker offers sources in git without running git, which takes as long as a tenth of a cached build: whether it is there
// shows when one is asked for.
func newWorker(ctx context.Context, opt base.WorkerOpt) (w *base.Worker, err error) {
	path := os.Getenv("PATH")
	if err := os.Setenv("PATH", ""); err != nil {
		return nil, err
	}
	w, err = base.NewWorker(ctx, opt)
	if err := errors.Join(err, os.Setenv("PATH", path)); err != nil {
		return nil, err
	}
	if w.GitSource, err = git.NewSource(git.Opt{CacheAccessor: w.CacheMgr, RegistryHosts: opt.RegistryHosts}); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.SourceManager.Register(w.GitSource)
	return w, nil
}

// snapshotter is overlayfs where the file system below can carry it, else plain copies.
func snapshotter(state, db string) (kind string, sn snapshots.Snapshotter, err error) {
	root := func(kind string) string { return filepath.Join(state, kind, "snapshots") }
	unfit := error(nil)
	if _, err := os.Stat(root("overlayfs")); err != nil { // trying it takes the kernel 20 ms: once is enough
		unfit = overlayutils.Supported(state)
	}
	if unfit == nil {
		ms, err := storage.NewMetaStore(db)
		if err != nil {
			return "", nil, err
		}
		sn, err = overlay.NewSnapshotter(root("overlayfs"), overlay.AsynchronousRemove, overlay.WithMetaStore(ms))
		return "overlayfs", sn, err
	}
	fmt.Fprintf(os.Stderr, "overlayfs does not work in %s (%v): every step copies the files below it\n", state, unfit)
	sn, err = native.NewSnapshotter(root("native"))
	return "native", sn, err
}

// networks are what a step can ask for. The pods' bridge belongs to the cluster, so a step is in the host's network or
// in one without any link.
func networks() map[pb.NetMode]network.Provider {
	return map[pb.NetMode]network.Provider{
		pb.NetMode_UNSET: network.NewHostProvider(),
		pb.NetMode_HOST:  network.NewHostProvider(),
		pb.NetMode_NONE:  network.NewNoneProvider(),
	}
}
