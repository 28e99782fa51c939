package script

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/rogpeppe/go-internal/testscript"

	"minato.dev/minato/test/linear"
)

// history ROUNDS [SEED [FAULT ...]] lets clients read and write few objects at once while faults fall, follows the writes
// by watches, and judges what they were told: each object behaves as if one request came after the other, nothing that
// was acknowledged is lost, and every watcher saw every write once and in order.
func history(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: history ROUNDS [SEED [FAULT ...]]")
	}
	rounds, err := strconv.Atoi(args[0])
	ts.Check(err)
	seed := seedOf(ts, args)
	kinds := []string{"kill", "partition", "twice", "start"}
	if len(args) > 2 {
		kinds = args[2:]
	}
	ts.Logf("history: seed %d, replay with CHAOS_SEED=%d", seed, seed)
	c := &churner{ts: ts, draw: rand.New(rand.NewPCG(seed, 2))}
	h := &chronicle{door: doorOf(ts), began: time.Now()}
	h.follow(3)
	for round := range rounds {
		h.round(c, round, kinds[c.draw.IntN(len(kinds))])
	}
	last := h.readAll(ts)
	h.unfollow(ts, last)
	h.judge(ts)
}

// clients write at once; objects are few, so that they meet.
const (
	historyClients = 6
	historyObjects = 3
)

// A chronicle is what clients asked and were told.
type chronicle struct {
	door    *door
	began   time.Time
	value   atomic.Int64 // the next one to be written: all are different
	mu      sync.Mutex
	ops     []porcupine.Operation
	names   []string
	acked   map[int64]string // revisions of acknowledged writes
	viewers []*viewer
	stop    context.CancelFunc
	wait    sync.WaitGroup
}

// round has objects of its own: what a fault leaves undecided stays with them.
func (h *chronicle) round(c *churner, n int, fault string) {
	names := make([]string, historyObjects)
	for i := range names {
		names[i] = "h-" + strconv.Itoa(n) + "-" + strconv.Itoa(i)
	}
	h.names = append(h.names, names...)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for i := range historyClients {
		draw := rand.New(rand.NewPCG(c.draw.Uint64(), uint64(i)))
		wait.Go(func() { h.client(ctx, i, draw, names) })
	}
	pause := time.Duration(300+c.draw.IntN(1200)) * time.Millisecond
	c.ts.Logf("round %d: %s after %s", n, fault, pause)
	<-time.After(pause)
	c.fault(fault)
	<-time.After(500 * time.Millisecond)
	cancel()
	wait.Wait()
}

// client does one thing after the other; what it writes with a precondition it has read before.
func (h *chronicle) client(ctx context.Context, id int, draw *rand.Rand, names []string) {
	known := map[string]linear.Seen{}
	for ctx.Err() == nil {
		name := names[draw.IntN(len(names))]
		in := linear.Request{Name: name, Verb: linear.Verbs[draw.IntN(len(linear.Verbs))], Value: strconv.FormatInt(h.value.Add(1), 10)}
		if in.Verb == "cas" {
			in.At = known[name]
			if in.At.Revision == "" {
				in.Verb = "get"
			}
		}
		call := h.now()
		out := h.door.do(ctx, in)
		h.note(id, in, out, call)
		if out.Revision != "" {
			known[name] = linear.Seen{Revision: out.Revision, Value: out.Value}
		}
		if out.Kind == linear.Unknown || out.Kind == linear.Unsent {
			<-time.After(20 * time.Millisecond)
		}
	}
}

// now is the time since the beginning, in nanoseconds.
func (h *chronicle) now() int64 { return int64(time.Since(h.began)) }

// note adds one request to the history. A write whose outcome is not known may happen at any later time.
func (h *chronicle) note(client int, in linear.Request, out linear.Answer, call int64) {
	end := h.now()
	if !linear.Tells(in, out) {
		return
	}
	if out.Kind == linear.Unknown {
		end = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
	if rv, err := strconv.ParseInt(out.Revision, 10, 64); err == nil && out.Kind == linear.Done && in.Verb != "get" {
		if h.acked == nil {
			h.acked = map[int64]string{}
		}
		h.acked[rv] = in.Verb + " " + in.Name
	}
}

// readAll reads every object at the end, which tells what became of all, and returns a revision after all writes.
func (h *chronicle) readAll(ts *testscript.TestScript) int64 {
	for _, name := range h.names {
		call := h.now()
		in := linear.Request{Name: name, Verb: "get"}
		out := h.door.do(context.Background(), in)
		if out.Kind == linear.Unknown || out.Kind == linear.Unsent {
			ts.Fatalf("history: %s cannot be read after all faults: %s", name, out.Why)
		}
		h.note(historyClients, in, out, call)
	}
	last := h.door.do(context.Background(), linear.Request{Name: "h-last", Verb: "create", Value: "last"})
	rv, err := strconv.ParseInt(last.Revision, 10, 64)
	ts.Check(err)
	return rv
}

// judge asks for one order of all requests that explains every answer.
func (h *chronicle) judge(ts *testscript.TestScript) {
	undecided := 0
	for _, o := range h.ops {
		if o.Output.(linear.Answer).Kind == linear.Unknown {
			undecided++
		}
	}
	result, info := porcupine.CheckOperationsVerbose(linear.Object(), h.ops, time.Minute)
	switch result {
	case porcupine.Illegal:
		file := ts.MkAbs("history.html")
		ts.Check(porcupine.VisualizePath(linear.Object(), info, file))
		keep(ts, file)
		ts.Fatalf("history: no order of the requests explains the answers; see %s", file)
	case porcupine.Unknown:
		ts.Logf("history: not decided within a minute")
	}
	ts.Logf("history: %d requests (%d with unknown outcome) on %d objects, %d acknowledged writes: %s", len(h.ops), undecided, len(h.names), len(h.acked), result)
	if len(h.acked) < 10 {
		ts.Fatalf("history: so few writes prove nothing")
	}
}
