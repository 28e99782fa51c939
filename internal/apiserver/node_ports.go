package apiserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/allocate"
	"minato.dev/minato/internal/store"
)

// nodePorts gives Services their node ports. The truth is one object in the store, upstream's own, which all servers
// on the store change by compare and swap; the pool in memory is what this server last saw of it.
type nodePorts struct {
	s     *Server
	ports PortRange

	mu       sync.Mutex
	pool     *allocate.Pool
	revision int64 // of the object that the pool shows; 0: read it again
}

// nodePortsKey is where upstream keeps the allocation.
const nodePortsKey = "/registry/ranges/servicenodeports"

// leakAfter is how long a port stays taken that no Service holds: another server may be writing it just now.
const leakAfter = 3 * time.Minute

func newNodePorts(s *Server) (*nodePorts, error) {
	r := s.cfg.NodePorts
	if r.First < 1 || r.Last > 65535 || r.Last < r.First {
		return nil, fmt.Errorf("apiserver: node ports %d-%d: not a range of ports", r.First, r.Last)
	}
	n := int(r.Last-r.First) + 1
	return &nodePorts{s: s, ports: r, pool: allocate.NewPool(n, allocate.Static(n, 16, 128, 32), rand.IntN)}, nil
}

func (p *nodePorts) text() string { return fmt.Sprintf("%d-%d", p.ports.First, p.ports.Last) }

// change runs f on the pool, and stores what f has made of it. f runs again where another server was faster, and must
// begin anew then. Its error is returned as it is.
func (p *nodePorts) change(ctx context.Context, f func(*allocate.Ports) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := p.s.cfg.SoleWriter
	for range maxAttempts {
		if p.revision == 0 {
			if err := p.read(ctx); err != nil {
				return err
			}
			fresh = true
		}
		before := p.pool.Bits()
		if err := f(&allocate.Ports{First: p.ports.First, Last: p.ports.Last, Pool: p.pool}); err != nil {
			p.pool.SetBits(before)
			if fresh {
				return err
			}
			p.revision = 0 // another server may have changed what f stumbled over
			continue
		}
		after := p.pool.Bits()
		if slices.Equal(before, after) {
			return nil
		}
		err := p.write(ctx, after)
		if err == nil {
			return nil
		}
		p.revision = 0
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) && !errors.Is(err, store.ErrExists) {
			return err
		}
	}
	return apierrors.NewInternalError(errors.New("the allocation of node ports changes too fast"))
}

// guess runs f on a copy of the pool, for a write that is only tried.
func (p *nodePorts) guess(f func(*allocate.Ports) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.pool.Bits()
	defer p.pool.SetBits(before)
	return f(&allocate.Ports{First: p.ports.First, Last: p.ports.Last, Pool: p.pool, Guess: true})
}

// read takes over what is stored; an allocation of another range is ours no longer.
func (p *nodePorts) read(ctx context.Context) error {
	kv, found, _, err := p.s.store.Get(ctx, nodePortsKey)
	if err != nil {
		return err
	}
	p.revision = -1 // there is none yet
	p.pool.Reset(nil)
	if !found {
		return nil
	}
	obj, err := api.DecodeStorage(kv.Value)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("%s: %w", nodePortsKey, err))
	}
	if have, ok := obj.(*corev1.RangeAllocation); ok && have.Range == p.text() {
		p.pool.SetBits(have.Data)
	}
	p.revision = kv.ModRevision
	return nil
}

func (p *nodePorts) write(ctx context.Context, bits []byte) error {
	obj := &corev1.RangeAllocation{Range: p.text(), Data: bits}
	obj.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("RangeAllocation"))
	value, err := api.EncodeStorage(obj)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	var rev int64
	if p.revision < 0 {
		rev, err = p.s.store.Create(ctx, nodePortsKey, value, 0)
	} else {
		rev, err = p.s.store.Update(ctx, nodePortsKey, value, p.revision, 0)
	}
	if err == nil {
		p.revision = rev
	}
	return err
}

// load makes the allocation agree with the Services. Ports that are taken and nobody's are freed: at once where no other
// server writes, else after a while, if they are still nobody's.
func (p *nodePorts) load(ctx context.Context, list []*corev1.Service) error {
	used := p.used(list)
	var loose []int
	err := p.change(ctx, func(r *allocate.Ports) error {
		loose = loose[:0]
		if p.s.cfg.SoleWriter {
			r.Pool.Reset(used)
			return nil
		}
		for _, n := range used {
			_ = r.Pool.Take(n) // it may be taken already
		}
		for n := range int(p.ports.Last-p.ports.First) + 1 {
			if r.Pool.Has(n) && !slices.Contains(used, n) {
				loose = append(loose, n)
			}
		}
		return nil
	})
	if err != nil || len(loose) == 0 {
		return err
	}
	p.s.running.Load().scope.Go("node port leaks", func(ctx context.Context) error {
		select {
		case <-time.After(leakAfter):
			return p.collect(ctx, loose)
		case <-ctx.Done():
			return nil
		}
	})
	return nil
}

// collect frees those of loose that are still nobody's.
func (p *nodePorts) collect(ctx context.Context, loose []int) error {
	list, err := p.s.services(ctx)
	if err != nil {
		return err
	}
	used := p.used(list)
	return p.change(ctx, func(r *allocate.Ports) error {
		for _, n := range loose {
			if !slices.Contains(used, n) {
				r.Pool.Free(n)
			}
		}
		return nil
	})
}

// used are the numbers that Services hold.
func (p *nodePorts) used(list []*corev1.Service) []int {
	var out []int
	for _, svc := range list {
		for _, port := range allocate.Held(svc) {
			out = append(out, int(port-p.ports.First))
		}
	}
	return out
}

// free gives ports back; what cannot be given back now, the next start finds.
func (p *nodePorts) free(ctx context.Context, ports []int32) {
	if len(ports) == 0 {
		return
	}
	err := p.change(ctx, func(r *allocate.Ports) error {
		r.Free(ports)
		return nil
	})
	if err != nil {
		p.s.log.Warn("node ports not freed", "ports", ports, "err", err)
	}
}
