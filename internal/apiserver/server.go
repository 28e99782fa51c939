package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utilrand "k8s.io/apimachinery/pkg/util/rand"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/discovery"
	"minato.dev/minato/internal/apiserver/health"
	"minato.dev/minato/internal/apiserver/openapi"
	"minato.dev/minato/internal/apiserver/transcode"
	"minato.dev/minato/internal/cache"
	"minato.dev/minato/internal/run"
	"minato.dev/minato/internal/store"
)

// Server is one API server.
type Server struct {
	cfg   Config
	log   *slog.Logger
	sec   Security
	cache *cache.Cache
	store store.Store // the cache's: every write is told to it

	resources map[schema.GroupVersionResource]*resource
	kinds     map[schema.GroupResource]*resource // one of each stored kind, for Objects
	versions  map[schema.GroupVersion]bool
	discovery *discovery.Handler
	openapi   *openapi.Handler
	health    *health.Handler

	owners    *owners
	addresses *addresses
	objects   *Objects
	kubelet   *kubelets

	impersonations impersonations

	running atomic.Pointer[running] // set while Run runs
	ready   atomic.Bool             // everything is done that comes before the first request
	suspect atomic.Int64            // values up to this revision may be another writer's
}

// running is what a server has only between the begin and the end of Run.
type running struct {
	scope      *run.Scope      // of in-process calls and the server's own goroutines
	watches    context.Context // ends when watches shall
	endWatches context.CancelFunc
}

// resource is a served resource with what the server keeps for it.
type resource struct {
	*api.Resource
	memo int                    // number of this version's renderings in cache.Object.Memo
	plan func() *transcode.Plan // see planOf
	// metaPlan is plan for the metadata alone.
	metaPlan func() *transcode.Plan

	watchers atomic.Int64 // over connections, now, of all objects
	frames   frames       // of events that these have been told of
	sent     atomic.Int64 // events to them, ever
	// sentBytes and sizes tell how large these were, tooSlow how many watchers were ended because they did not keep up.
	sentBytes, tooSlow atomic.Int64
	sizes              [len(health.Sizes{})]atomic.Int64
	asked              atomic.Bool // somebody has asked for it, where it is deprecated
	// deprecated is what every caller is warned of, "" for a version that stays.
	deprecated string
}

// renderings of one object in one version that are remembered.
const (
	memoJSON = iota
	memoProtobuf
	memoCells
	memoMetadata
	memoOldMetadata // in meta.k8s.io/v1beta1
	memoKinds
)

// New checks cfg and returns a server that is not yet running.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil || cfg.Log == nil || cfg.Secure == nil {
		return nil, errors.New("apiserver: Config needs Store, Log and Secure")
	}
	if !cfg.ServiceCIDR.IsValid() {
		cfg.ServiceCIDR = netip.MustParsePrefix("10.96.0.0/12")
	}
	if cfg.NodePorts == (PortRange{}) {
		cfg.NodePorts = PortRange{30000, 32767}
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = time.Minute
	}
	if cfg.Random == nil {
		cfg.Random = func() string { return utilrand.String(5) }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, log: cfg.Log, resources: map[schema.GroupVersionResource]*resource{},
		kinds: map[schema.GroupResource]*resource{}, versions: map[schema.GroupVersion]bool{}}
	var err error
	if s.cache, err = s.newCache(); err != nil {
		return nil, err
	}
	s.store = s.cache.Store()
	s.objects = newObjects(s)
	s.owners = newOwners()
	s.kubelet = newKubelets(s)
	if s.addresses, err = newAddresses(s); err != nil {
		return nil, err
	}
	if err := s.describe(); err != nil {
		return nil, err
	}
	if s.sec, err = cfg.Secure(s.objects); err != nil {
		return nil, fmt.Errorf("apiserver: secure: %w", err)
	}
	if s.sec.Authenticator == nil || s.sec.Authorizer == nil {
		return nil, errors.New("apiserver: Security needs Authenticator and Authorizer")
	}
	if sized, ok := cfg.Store.(interface{ Size() (int64, error) }); ok {
		if err := cfg.Metrics.Measure(sized.Size); err != nil {
			return nil, err
		}
	}
	return s, cfg.Metrics.Follow(s.stocks)
}

// Handler is the whole HTTP surface.
func (s *Server) Handler() http.Handler { return s }

// Objects is the door for the server's own parts.
func (s *Server) Objects() *Objects { return s.objects }

// newCache registers all served resources and returns the cache of the stored ones.
func (s *Server) newCache() (*cache.Cache, error) {
	cc := cache.Config{SoleWriter: s.cfg.SoleWriter, Log: s.log}
	numbers := 0
	for _, r := range api.All() {
		res := &resource{Resource: r, plan: planOf(r), metaPlan: metaPlanOf(r), deprecated: deprecation(r.GVK())}
		s.resources[r.GVR()] = res
		s.versions[r.GroupVersion] = true
		if !r.Stored() {
			continue
		}
		res.memo = numbers
		numbers += memoKinds
		s.kinds[r.GroupResource()] = res
	}
	for _, r := range api.Stored() {
		cr := cache.Resource{Prefix: r.Prefix + "/", Index: indexer(r), Canonical: s.canonical(r)}
		if r.Prefix == "/registry/pods" {
			cr.Indexed = podIndexes
		}
		cc.Resources = append(cc.Resources, cr)
	}
	return cache.New(s.cfg.Store, cc), nil
}

// bodyOf finds the object's own message in a stored value; nothing in what is not protobuf.
func bodyOf(value []byte) cache.Span {
	raw, err := rawMessage(value)
	if err != nil {
		return cache.Span{}
	}
	// rawMessage returns a part of value, whose capacity ends where the part does.
	for at := len(magic); at < len(value); {
		_, found, size, err := nextField(value[at:])
		if err != nil {
			return cache.Span{}
		}
		at += size
		if len(found) == len(raw) && len(raw) > 0 && &found[0] == &raw[0] {
			return cache.Span{From: int32(at - len(raw)), To: int32(at)}
		}
	}
	return cache.Span{}
}

func indexer(r *api.Resource) func(string, []byte) (cache.Meta, error) {
	return func(_ string, value []byte) (cache.Meta, error) {
		x, err := r.Index(value)
		return cache.Meta{Namespace: x.Namespace, Name: x.Name, UID: x.UID, Labels: x.Labels, Fields: x.Fields, Deleting: x.Deleting, Body: bodyOf(value)}, err
	}
}
