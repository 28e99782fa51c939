package watch

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"minato.dev/minato/test/linear"
)

var (
	length = flag.Duration("length", 0, "how long to go on; 0: a few rounds")
	seed   = flag.Uint64("seed", 1, "of the first round; the next one's is greater by one")
)

// How many clients there are. Objects are few, so that writers meet.
const (
	writers = 8
	objects = 4 // in each namespace
	listers = 3
	each    = 2 // followers of each shape, one by HTTP/1.1 and one by HTTP/2
)

// TestWatchesListsAndWrites runs rounds, each with objects and clients of its own, on one server that is killed in all but
// every fourth of them.
func TestWatchesListsAndWrites(t *testing.T) {
	p := &process{t: t, dir: t.TempDir()}
	p.start()
	defer func() { p.kill() }()
	doors := []*door{newDoor(p.dir, false), newDoor(p.dir, true)}
	began := time.Now()
	for n := uint64(0); n < 2 || time.Since(began) < *length; n++ {
		r := &round{t: t, process: p, doors: doors, seed: *seed + n, draw: rand.New(rand.NewPCG(*seed+n, 5)), began: time.Now()}
		r.run(n%4 != 1)
		if t.Failed() {
			t.Fatalf("round %d failed; its seed is %d", n, r.seed)
		}
	}
}

// A round is one history.
type round struct {
	t       *testing.T
	process *process
	doors   []*door
	seed    uint64
	draw    *rand.Rand
	began   time.Time

	names     []string
	value     atomic.Int64
	newest    atomic.Int64 // revision that a writer was told of
	mu        sync.Mutex
	ops       []porcupine.Operation
	acked     map[int64]string
	followers []*follower
	listers   []*lister
}

func (r *round) run(kill bool) {
	r.acked = map[int64]string{}
	for i := range objects {
		for _, ns := range namespaces {
			r.names = append(r.names, fmt.Sprintf("%s/r%d-%d", ns, r.seed, i))
		}
	}
	ctx, stop := context.WithCancel(r.t.Context())
	defer stop()
	var following, writing sync.WaitGroup
	r.follow(ctx, &following)
	busy, quiet := context.WithCancel(ctx)
	r.write(busy, &writing)
	r.pause(400 + r.draw.IntN(600))
	if kill {
		for range 1 + r.draw.IntN(3) {
			r.process.kill()
			told := r.newest.Load()
			for _, f := range r.followers {
				at, _ := f.at()
				told = max(told, at)
			}
			r.process.start()
			r.notBefore(told)
			r.pause(200 + r.draw.IntN(500))
		}
	}
	quiet()
	writing.Wait()
	r.readAll()
	r.fence(ctx)
	stop()
	following.Wait()
	if !r.t.Failed() {
		r.judge()
	}
}

// notBefore asks for the newest revision, which cannot be older than one that somebody was told of.
func (r *round) notBefore(told int64) {
	for range 50 {
		if code, page := r.doors[0].get(r.t.Context(), "/api/v1/configmaps?limit=1"); code == 200 {
			if page.revision() < told {
				r.t.Errorf("after a kill the newest revision is %d; somebody was told of %d before it", page.revision(), told)
			}
			return
		}
		r.pause(20)
	}
	r.t.Error("nobody answers after a start")
}

func (r *round) pause(ms int) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-r.t.Context().Done():
	}
}

// follow starts the followers and waits until each has begun.
func (r *round) follow(ctx context.Context, wg *sync.WaitGroup) {
	for _, s := range shapes(fmt.Sprintf("r%d-1", r.seed)) {
		for i := range each {
			f := &follower{shape: s, door: r.doors[i%len(r.doors)], draw: rand.New(rand.NewPCG(r.seed, uint64(len(r.followers))))}
			r.followers = append(r.followers, f)
			wg.Go(func() { f.run(ctx) })
		}
	}
	r.until("begins", 1)
}

// until waits until every follower has come to a revision.
func (r *round) until(what string, rev int64) {
	for end := time.Now().Add(2 * time.Minute); ; r.pause(5) {
		behind := ""
		for _, f := range r.followers {
			at, err := f.at()
			if err != nil {
				r.t.Errorf("watcher of %s: %v", f.name, err)
				return
			}
			if at < rev {
				behind = fmt.Sprintf("watcher of %s has come to revision %d of %d", f.name, at, rev)
			}
		}
		if behind == "" {
			return
		}
		if time.Now().After(end) {
			r.t.Errorf("%s: %s", what, behind)
			return
		}
	}
}

func (r *round) write(ctx context.Context, wg *sync.WaitGroup) {
	for i := range writers {
		draw := rand.New(rand.NewPCG(r.draw.Uint64(), uint64(i)))
		wg.Go(func() { r.writer(ctx, i, draw) })
	}
	for i := range listers {
		l := &lister{door: r.doors[i%len(r.doors)], draw: rand.New(rand.NewPCG(r.draw.Uint64(), uint64(i))), acked: r.newest.Load}
		r.listers = append(r.listers, l)
		wg.Go(func() { l.run(ctx) })
	}
}

// writer does one thing after the other; what it writes with a precondition it has read before.
func (r *round) writer(ctx context.Context, id int, draw *rand.Rand) {
	known := map[string]linear.Seen{}
	for ctx.Err() == nil {
		name := r.names[draw.IntN(len(r.names))]
		in := linear.Request{Name: name, Verb: linear.More[draw.IntN(len(linear.More))], Value: strconv.FormatInt(r.value.Add(1), 10)}
		if linear.Guarded(in.Verb) {
			if in.At = known[name]; in.At.Revision == "" {
				in.Verb = "get"
			}
		}
		out := r.do(id, in, colors[draw.IntN(len(colors))])
		if out.Revision != "" {
			known[name] = linear.Seen{Revision: out.Revision, Value: out.Value}
		}
		if out.Kind == linear.Unknown || out.Kind == linear.Unsent {
			r.pause(10)
		}
	}
}

// do makes a request and notes it. A write whose outcome is not known may happen at any later time. A request is never cut
// off by the round's end, so that nothing but a dead server leaves its outcome open.
func (r *round) do(client int, in linear.Request, color string) linear.Answer {
	call := int64(time.Since(r.began))
	out := r.doors[client%len(r.doors)].do(r.t.Context(), in, color)
	end := int64(time.Since(r.began))
	if out.Kind == linear.Unknown {
		end = math.MaxInt64
	}
	rev, err := strconv.ParseInt(out.Revision, 10, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	if linear.Tells(in, out) {
		r.ops = append(r.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
	}
	if err == nil && out.Kind == linear.Done && in.Verb != "get" {
		r.acked[rev] = in.Verb + " " + in.Name
		r.newest.Store(max(r.newest.Load(), rev))
	}
	return out
}

// readAll reads every object at the end, which tells what became of all.
func (r *round) readAll() {
	for _, name := range r.names {
		if out := r.do(writers, linear.Request{Name: name, Verb: "get"}, ""); out.Kind == linear.Unknown || out.Kind == linear.Unsent {
			r.t.Errorf("%s cannot be read after all faults: %s", name, out.Why)
		}
	}
}

// fence writes what every follower must see, whatever it follows, and waits for it: everything before has then been seen.
func (r *round) fence(ctx context.Context) {
	code, page := r.doors[0].get(ctx, "/api/v1/configmaps?limit=1")
	if code != 200 {
		r.t.Fatalf("list at the end: %d", code)
	}
	last := page.revision()
	for _, ns := range namespaces {
		for _, color := range colors {
			r.must(linear.Request{Name: fmt.Sprintf("%s/fence-%d-%s", ns, r.seed, color), Verb: "create", Value: "fence"}, color)
		}
	}
	one := linear.Request{Name: fmt.Sprintf("east/r%d-1", r.seed), Verb: "put", Value: "fence"}
	if out := r.doors[0].do(ctx, one, colors[0]); out.Kind == linear.Absent {
		one.Verb = "create"
		r.must(one, colors[0])
	}
	r.until("ends", last+1)
}

func (r *round) must(in linear.Request, color string) {
	if out := r.doors[0].do(r.t.Context(), in, color); out.Kind != linear.Done {
		r.t.Fatalf("%s %s: %s %s", in.Verb, in.Name, out.Kind, out.Why)
	}
}

// judge looks at everything that was told.
func (r *round) judge() {
	truth, err := newTruth(r.followers[:2*each]) // of everything
	if err != nil {
		r.t.Error(err)
		return
	}
	events, gone, watches := 0, 0, 0
	for i, f := range r.followers {
		n, err := f.check(truth)
		if err != nil {
			r.t.Errorf("watcher of %s: %v", f.name, err)
		}
		if err != nil || r.t.Failed() && i < 2*each {
			r.t.Logf("diary of %s %d: %s", f.name, i, strings.Join(f.diary, "; "))
		}
		events, gone, watches = events+n, gone+f.gone, watches+f.watches
	}
	lists := 0
	for _, l := range r.listers {
		n, err := truth.checkLists(l.seen)
		if err != nil {
			r.t.Error(err)
		}
		lists, gone = lists+n, gone+l.gone
		if len(l.faults) > 0 {
			r.t.Errorf("%d lists are wrong: %s", len(l.faults), strings.Join(l.faults[:min(3, len(l.faults))], "; "))
		}
	}
	r.acknowledged(truth)
	result := porcupine.CheckOperationsTimeout(linear.Object(), r.ops, time.Minute)
	if result == porcupine.Illegal {
		r.t.Error("no order of the requests explains the answers")
		r.blame()
	}
	r.t.Logf("seed %d: %d requests, %d acknowledged writes, %d events by %d watches, %d lists, %d times gone: %s", r.seed, len(r.ops), len(r.acked), events, watches, lists, gone, result)
}

// blame shows the histories that cannot be.
func (r *round) blame() {
	m := linear.Object()
	for _, ops := range m.Partition(r.ops) {
		if porcupine.CheckOperations(m, ops) {
			continue
		}
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		for _, o := range ops {
			end := fmt.Sprint(time.Duration(o.Return))
			if o.Return == math.MaxInt64 {
				end = "never"
			}
			out := o.Output.(linear.Answer)
			r.t.Logf("%s .. %s client %d: %s %s%s", time.Duration(o.Call), end, o.ClientId, m.DescribeOperation(o.Input, o.Output), out.Revision, out.Why)
		}
	}
}

// acknowledged says that each acknowledged write is in the truth.
func (r *round) acknowledged(t *truth) {
	for rev, what := range r.acked {
		s := t.covering(rev)
		if s == nil || s.from == rev {
			continue
		}
		found := false
		for _, e := range s.events {
			found = found || e.revision == rev
		}
		if !found {
			r.t.Errorf("no watcher saw revision %d, the acknowledged %s", rev, what)
		}
	}
}
