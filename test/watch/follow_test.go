package watch

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A shape is what a watcher asks for.
type shape struct {
	name      string
	namespace string // all where empty
	query     string // selectors
	belongs   func(key string, it item) bool
	stream    bool // lists by a watch (sendInitialEvents)
	lazy      bool // goes away now and then, so that it comes back late
	bookmarks bool
}

func shapes(object string) []shape {
	all := func(string, item) bool { return true }
	red := func(_ string, it item) bool { return it.color == "red" }
	return []shape{
		{name: "all", belongs: all, bookmarks: true},
		{name: "all, without bookmarks", belongs: all},
		{name: "a namespace", namespace: "west", belongs: func(key string, _ item) bool { return strings.HasPrefix(key, "west/") }},
		{name: "a label", query: "&labelSelector=color%3Dred", belongs: red, bookmarks: true},
		{name: "a namespace without a label", namespace: "east", query: "&labelSelector=color%21%3Dred",
			belongs: func(key string, it item) bool { return strings.HasPrefix(key, "east/") && it.color != "red" }},
		{name: "one object", namespace: "east", query: "&fieldSelector=metadata.name%3D" + object,
			belongs: func(key string, _ item) bool { return key == "east/"+object }},
		{name: "streamed", belongs: all, stream: true, bookmarks: true},
		{name: "streamed, a label", query: "&labelSelector=color%3Dred", belongs: red, stream: true, bookmarks: true},
		{name: "lazy", belongs: all, lazy: true, bookmarks: true},
	}
}

func (s *shape) path() string {
	if s.namespace == "" {
		return "/api/v1/configmaps?"
	}
	return "/api/v1/namespaces/" + s.namespace + "/configmaps?"
}

// An event is one write as a watch tells it.
type event struct {
	revision int64
	kind     string
	key      string
	item     item
}

// A stretch is what a watcher saw without a gap: the state that it began with, and all events after it up to a revision.
type stretch struct {
	from   int64
	state  map[string]item
	events []event
	to     int64
}

// A follower follows one shape by lists and watches, one after the other as they break.
type follower struct {
	shape
	door *door
	draw *rand.Rand

	mu        sync.Mutex
	stretches []*stretch
	diary     []string // what came of each watch, for whoever looks for a fault
	watches   int
	gone      int // times that the server had forgotten where the follower was
	fault     error
}

// at is how far it has come without a fault.
func (f *follower) at() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.stretches) == 0 {
		return 0, f.fault
	}
	return f.stretches[len(f.stretches)-1].to, f.fault
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := f.once(ctx); err != nil {
			f.mu.Lock()
			f.fault = err
			f.mu.Unlock()
			return
		}
		rest := 5 * time.Millisecond
		if f.lazy {
			rest = time.Duration(f.draw.IntN(700)) * time.Millisecond
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

// once makes one watch, and a list before it where there is nothing to go on from. The error is what no fault of a server
// that dies explains.
func (f *follower) once(ctx context.Context) error {
	at, _ := f.at()
	if at == 0 && !f.stream {
		return f.list(ctx)
	}
	q := fmt.Sprintf("watch=1%s&resourceVersion=%d", f.query, at)
	if f.bookmarks {
		q += "&allowWatchBookmarks=true"
	}
	if f.stream { // always from the beginning: from a state that is not older than what was seen
		q += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
	}
	f.note("watch after %d", at)
	f.mu.Lock()
	f.watches++
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(patience, cancel)
	defer quiet.Stop()
	if f.lazy {
		defer time.AfterFunc(time.Duration(f.draw.IntN(400))*time.Millisecond, cancel).Stop()
	}
	resp, err := f.door.send(ctx, http.MethodGet, f.path()+q, "", nil)
	if err != nil {
		return nil // it is down
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusGone {
		return f.list(ctx)
	}
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	lines := bufio.NewScanner(resp.Body)
	err = f.read(ctx, lines, quiet)
	f.note("ends: %v", lines.Err())
	return err
}

// note keeps the last lines of the diary.
func (f *follower) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.diary = append(f.diary, fmt.Sprintf(format, args...)); len(f.diary) > 200 {
		f.diary = f.diary[100:]
	}
}

func (f *follower) read(ctx context.Context, lines *bufio.Scanner, quiet *time.Timer) error {
	var initial map[string]item
	if f.stream {
		initial = map[string]item{}
	}
	for lines.Scan() {
		quiet.Reset(patience)
		var e struct {
			Type   string
			Object configMap
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			return nil // cut off in the middle of a line
		}
		o := &e.Object
		switch {
		case e.Type == "ERROR" && (o.Reason == "Expired" || o.Reason == "Gone"):
			return f.list(ctx)
		case e.Type == "ERROR":
			return nil
		case e.Type == "BOOKMARK" && o.Metadata.Annotations["k8s.io/initial-events-end"] == "true":
			if err := f.begin(o.revision(), initial); err != nil {
				return err
			}
			initial = nil
			continue
		case initial != nil: // the state, and what was written until all of it was told
			if _, there := initial[o.key()]; there != (e.Type != "ADDED") {
				return fmt.Errorf("%s of %s among the initial events, where it was: %v", e.Type, o.key(), there)
			}
			(&event{kind: e.Type, key: o.key(), item: o.item()}).apply(initial)
			continue
		}
		f.note("%s %s %d", e.Type, o.key(), o.revision())
		if err := f.take(e.Type, o); err != nil {
			return err
		}
	}
	return nil
}

// take notes one event, which must be newer than all before.
func (f *follower) take(kind string, o *configMap) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, rev := f.stretches[len(f.stretches)-1], o.revision()
	if rev < s.to || rev == s.to && kind != "BOOKMARK" {
		return fmt.Errorf("%s of %s at revision %d, after revision %d", kind, o.key(), rev, s.to)
	}
	s.to = rev
	if kind != "BOOKMARK" {
		s.events = append(s.events, event{rev, kind, o.key(), o.item()})
	} else if !f.bookmarks {
		return fmt.Errorf("a bookmark at revision %d that nobody asked for", rev)
	}
	return nil
}

// begin begins a stretch with a state.
func (f *follower) begin(rev int64, state map[string]item) error {
	at, _ := f.at()
	if rev < at || rev <= 0 {
		return fmt.Errorf("a state at revision %d, after revision %d", rev, at)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stretches = append(f.stretches, &stretch{from: rev, state: state, to: rev})
	return nil
}

func (f *follower) list(ctx context.Context) error {
	f.mu.Lock()
	if len(f.stretches) > 0 {
		f.gone++
	}
	f.mu.Unlock()
	code, page := f.door.get(ctx, f.path()+f.query)
	if code != http.StatusOK {
		return nil
	}
	return f.begin(page.revision(), stateOf(page.Items))
}

func stateOf(items []configMap) map[string]item {
	state := map[string]item{}
	for i := range items {
		state[items[i].key()] = items[i].item()
	}
	return state
}

// A listing is what one list said, and what was acknowledged before it was asked for.
type listing struct {
	how     string
	rev     int64
	atLeast int64 // the list was told to be at least this new; or exactly, where exact
	exact   bool
	slow    bool // between its pages
	state   map[string]item
	belongs func(string, item) bool
}

// A lister lists in all ways there are.
type lister struct {
	door   *door
	draw   *rand.Rand
	acked  func() int64 // the newest revision that a writer was told of
	seen   []listing
	gone   int
	faults []string
}

func (l *lister) run(ctx context.Context) {
	for ctx.Err() == nil {
		l.once(ctx)
		select {
		case <-time.After(time.Duration(l.draw.IntN(10)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (l *lister) once(ctx context.Context) {
	some := shapes("")[:5] // by selectors that many objects match
	s := &some[l.draw.IntN(len(some))]
	before := l.acked()
	n := listing{belongs: s.belongs, atLeast: before}
	q := url.Values{}
	switch l.draw.IntN(7) {
	case 0:
		n.how = "newest"
	case 1:
		n.how, n.atLeast = "any", 0
		q.Set("resourceVersion", "0")
	case 2:
		n.how = "not older"
		q.Set("resourceVersion", strconv.FormatInt(before, 10))
		q.Set("resourceVersionMatch", "NotOlderThan")
	case 3:
		n.how, n.exact = "exact", true
		n.atLeast = max(1, before-l.draw.Int64N(kept+20))
		q.Set("resourceVersion", strconv.FormatInt(n.atLeast, 10))
		q.Set("resourceVersionMatch", "Exact")
	case 4:
		n.how = "pages"
		q.Set("limit", "2")
	case 5: // so slowly that what it reads may be forgotten meanwhile
		n.how, n.slow = "slow pages", true
		q.Set("limit", "1")
	case 6:
		n.how, n.exact = "exact pages", true
		n.atLeast = max(1, before-l.draw.Int64N(kept+20))
		q.Set("resourceVersion", strconv.FormatInt(n.atLeast, 10))
		q.Set("resourceVersionMatch", "Exact")
		q.Set("limit", strconv.Itoa(1+l.draw.IntN(3)))
	}
	n.how += ", " + s.name
	if before == 0 {
		return
	}
	l.pages(ctx, s, n, q)
}

// pages reads a list to its end. All pages must be of one revision.
func (l *lister) pages(ctx context.Context, s *shape, n listing, q url.Values) {
	var items []configMap
	for {
		code, page := l.door.get(ctx, s.path()+q.Encode()+s.query)
		switch {
		case code == http.StatusGone:
			l.gone++
			return
		case code != http.StatusOK:
			return
		case n.rev != 0 && page.revision() != n.rev:
			l.faults = append(l.faults, fmt.Sprintf("%s: a page at revision %d after one at %d", n.how, page.revision(), n.rev))
		}
		n.rev, items = page.revision(), append(items, page.Items...)
		if page.Metadata.Continue == "" {
			break
		}
		q.Set("continue", page.Metadata.Continue)
		q.Del("resourceVersion") // the token names it
		q.Del("resourceVersionMatch")
		if n.slow {
			select {
			case <-time.After(time.Duration(l.draw.IntN(150)) * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	}
	if n.state = stateOf(items); len(n.state) != len(items) {
		l.faults = append(l.faults, fmt.Sprintf("%s at revision %d: an object twice", n.how, n.rev))
	}
	if n.rev < n.atLeast || n.exact && n.rev != n.atLeast {
		l.faults = append(l.faults, fmt.Sprintf("%s: at revision %d, asked for %d", n.how, n.rev, n.atLeast))
	}
	l.seen = append(l.seen, n)
}
