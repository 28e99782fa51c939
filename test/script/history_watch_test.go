package script

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A viewer follows all objects by watches, one after the other as they break, each from where the last has come to.
type viewer struct {
	mu     sync.Mutex
	at     int64 // everything up to this revision has been seen
	events []event
	gaps   []gap
	broken int // watches that ended
	err    error
}

// An event is one write as a watch tells it.
type event struct {
	revision int64
	what     string // kind, name and value
}

// A gap is what the server did not have any more: it answered Gone, and the viewer listed.
type gap struct{ after, upTo int64 }

// follow starts so many viewers.
func (h *chronicle) follow(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	for range n {
		v := &viewer{}
		h.viewers = append(h.viewers, v)
		h.wait.Go(func() { v.run(ctx, h.door) })
	}
}

// unfollow waits until every viewer has seen the revision last, and compares what they saw.
func (h *chronicle) unfollow(ts *testscript.TestScript, last int64) {
	for end := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		behind := ""
		for i, v := range h.viewers {
			if at, err := v.seen(); at < last || err != nil {
				behind = fmt.Sprintf("watcher %d has come to revision %d of %d: %v", i, at, last, err)
			}
		}
		if behind == "" {
			break
		}
		if time.Now().After(end) {
			h.stop()
			ts.Fatalf("history: %s", behind)
		}
	}
	h.stop()
	h.wait.Wait()
	ts.Check(h.compare())
	for i, v := range h.viewers {
		ts.Logf("history: watcher %d saw %d events by %d watches, with %d gaps", i, len(v.events), v.broken+1, len(v.gaps))
	}
}

func (v *viewer) seen() (int64, error) { v.mu.Lock(); defer v.mu.Unlock(); return v.at, v.err }

func (v *viewer) run(ctx context.Context, d *door) {
	for ctx.Err() == nil {
		if err := v.once(ctx, d); err != nil {
			v.mu.Lock()
			v.err = err
			v.mu.Unlock()
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// once lists where it must, then watches to the watch's end. The error is what no fault explains.
func (v *viewer) once(ctx context.Context, d *door) error {
	if v.at == 0 {
		return v.list(ctx, d)
	}
	v.mu.Lock()
	v.broken++
	v.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(15*time.Second, cancel) // a watch that died without a word, as behind a partition
	defer quiet.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"?watch=1&allowWatchBookmarks=true&resourceVersion="+strconv.FormatInt(v.at, 10), nil)
	if err != nil {
		return err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil // it is down
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusGone {
		return v.list(ctx, d)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		quiet.Reset(15 * time.Second)
		var e struct {
			Type   string
			Object configMap
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			return nil // cut off in the middle of a line
		}
		switch {
		case e.Type == "ERROR" && (e.Object.Reason == "Expired" || e.Object.Reason == "Gone"):
			return v.list(ctx, d)
		case e.Type == "ERROR":
			return nil
		}
		if err := v.take(e.Type, e.Object); err != nil {
			return err
		}
	}
	return nil
}

// take notes one event, which must be newer than all before.
func (v *viewer) take(kind string, o configMap) error {
	rv, err := strconv.ParseInt(o.Metadata.ResourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("%s without a revision: %w", kind, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if rv < v.at || rv == v.at && kind != "BOOKMARK" {
		return fmt.Errorf("%s of %s at revision %d, after revision %d", kind, o.Metadata.Name, rv, v.at)
	}
	v.at = rv
	if kind != "BOOKMARK" {
		v.events = append(v.events, event{rv, kind + " " + o.Metadata.Name + " " + o.Data["v"]})
	}
	return nil
}

// list finds out where to go on from; what was written since the last event is a gap.
func (v *viewer) list(ctx context.Context, d *door) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"?limit=1", nil)
	if err != nil {
		return err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var page configMap
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&page) != nil {
		return nil
	}
	rv, err := strconv.ParseInt(page.Metadata.ResourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("list without a revision: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if rv < v.at {
		return fmt.Errorf("a list is at revision %d, after revision %d", rv, v.at)
	}
	v.gaps = append(v.gaps, gap{v.at, rv})
	v.at = rv
	return nil
}

// compare holds the viewers against each other and against the acknowledged writes: whoever saw the revisions before and
// after one saw that one, and all the same of it.
func (h *chronicle) compare() error {
	truth := map[int64]string{}
	for i, v := range h.viewers {
		for _, e := range v.events {
			if was, ok := truth[e.revision]; ok && was != e.what {
				return fmt.Errorf("revision %d is %q to watcher %d and %q to another", e.revision, e.what, i, was)
			}
			truth[e.revision] = e.what
		}
	}
	for rv, what := range h.acked {
		if _, ok := truth[rv]; !ok && !h.viewers[0].skipped(rv) {
			return fmt.Errorf("no watcher saw revision %d, the acknowledged %s", rv, what)
		}
	}
	for i, v := range h.viewers {
		saw := map[int64]bool{}
		for _, e := range v.events {
			saw[e.revision] = true
		}
		for rv, what := range truth {
			if !saw[rv] && !v.skipped(rv) {
				return fmt.Errorf("watcher %d missed revision %d, %s", i, rv, what)
			}
		}
	}
	return nil
}

func (v *viewer) skipped(rv int64) bool {
	for _, g := range v.gaps {
		if rv > g.after && rv <= g.upTo {
			return true
		}
	}
	return rv > v.at
}
