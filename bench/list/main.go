// Command list measures what a LIST of 10,000 pods costs the servers, ours and upstream's kube-apiserver with etcd, in
// turns, over TLS and HTTP/2, with the same client and the same keys in both stores.
//
//	go run ./bench/list [-json FILE] [-minato bin/minato] [-upstream DIR] [-pods 10000] [-rounds 7]
//
// Server CPU is that of all processes in the side's network namespace: for ours the whole one-node cluster, at rest but
// for the API server; for upstream's kube-apiserver and etcd. The client's is its own.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
)

func main() {
	var f sides.Flags
	f.Register()
	pods := flag.Int("pods", 10000, "how many pods there are")
	rounds := flag.Int("rounds", 7, "rounds of each kind of LIST, ours and upstream's in turns")
	report.Main(report.Result{Bench: "list", Title: "LIST of many pods", About: "HTTP/2 over TLS, in turns; medians over rounds. Ours is the whole one-node " +
		"cluster, whose controllers and scheduler see the pods; upstream's is kube-apiserver and etcd alone. The same client asks both and counts its own CPU apart."},
		func(ctx context.Context, r *report.Result) error { return list(ctx, f, *pods, *rounds, r) })
}

// kind is one way to ask.
type kind struct {
	name, query, accept string
	perRound, pods      int // pods in the answer; 0: all
	reach               float64
	compress            bool
}

// kinds are the ways to ask. perRound makes a round long enough for the clock of the kernel's accounts.
var kinds = []kind{
	{"protobuf", "", runtime.ContentTypeProtobuf, 4, 0, 4, false},
	{"JSON", "", runtime.ContentTypeJSON, 4, 0, 5, false},
	{"Table", "", asTable, 4, 0, 5, false},
	{"protobuf, gzip", "", runtime.ContentTypeProtobuf, 4, 0, 0, true},
	{"JSON, gzip", "", runtime.ContentTypeJSON, 4, 0, 0, true},
	{"one by its name, JSON", "?fieldSelector=metadata.name%3Dweb-005000", runtime.ContentTypeJSON, 100, 1, 5, false},
	{"those of a node, JSON", "?fieldSelector=spec.nodeName%3Dnode-0500", runtime.ContentTypeJSON, 100, 10, 5, false},
	{"one by its address, JSON", "?fieldSelector=status.podIP%3D10.244.20.2", runtime.ContentTypeJSON, 100, 1, 5, false},
}

// asTable is what kubectl asks for.
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"

// result holds one LIST's cost, from each round.
type result struct{ server, client, wall []time.Duration }

func list(ctx context.Context, f sides.Flags, pods, rounds int, r *report.Result) (err error) {
	both, err := sides.Both(ctx, f, sides.Fleet(pods, pods/10))
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range both {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, s := range both {
		if err := settle(ctx, s); err != nil {
			return err
		}
	}
	for _, k := range kinds {
		if k.pods > 0 && pods != 10000 {
			continue // the selectors name pods of ten thousand
		}
		var first [2]time.Duration
		var res [2]result
		var size int64
		for i, s := range both {
			c := s.Client(k.compress)
			if err := k.check(ctx, c, s.URL, pods); err != nil {
				return fmt.Errorf("%s: %s: %w", s.Name, k.name, err)
			}
			once := result{}
			if size, err = round(ctx, s, c, k.query, k.accept, 1, &once); err != nil {
				return err
			}
			first[i] = once.server[0]
		}
		for range rounds {
			for i, s := range both {
				if size, err = round(ctx, s, s.Client(k.compress), k.query, k.accept, k.perRound, &res[i]); err != nil {
					return err
				}
			}
		}
		group := fmt.Sprintf("%d pods, %s, %.2g MB", pods, k.name, report.MB(size))
		add := func(name string, of func(result) *report.Value) *report.Row {
			r.Add(report.Row{Group: group, Name: name, Unit: report.Millis, Ours: of(res[0]), Theirs: of(res[1])})
			return &r.Rows[len(r.Rows)-1]
		}
		cpu := add("server CPU", func(x result) *report.Value { return report.Median(report.Ms(x.server...)) })
		if k.pods == 0 {
			cpu.Reach.Ratio, cpu.Key = k.reach, k.reach != 0
		}
		r.Add(report.Row{Group: group, Name: "server CPU of the first", Unit: report.Millis, Ours: report.Just(report.Ms(first[0])[0]), Theirs: report.Just(report.Ms(first[1])[0])})
		wall := add("until the client has it", func(x result) *report.Value { return report.Median(report.Ms(x.wall...)) })
		if k.pods > 0 {
			wall.Reach.Ratio, wall.Key = k.reach, true
		}
		add("the client's CPU", func(x result) *report.Value { return report.Median(report.Ms(x.client...)) })
	}
	return sides.AddMemory(r, both...)
}

// settle waits until the side has come to rest after its start, so that the first LISTs do not pay for that: until it takes
// less than a tenth of a core for two seconds, or for half a minute.
func settle(ctx context.Context, s *sides.Side) error {
	calm := 0
	for range 30 {
		before, err := s.CPU()
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := s.CPU()
		if err != nil {
			return err
		}
		if after-before > 100*time.Millisecond {
			calm = 0
		} else if calm++; calm == 2 {
			return nil
		}
	}
	return nil
}

// round lists n times and notes the cost of one.
func round(ctx context.Context, s *sides.Side, c *http.Client, query, accept string, n int, r *result) (size int64, err error) {
	defer c.CloseIdleConnections()
	cpu, err := s.CPU()
	if err != nil {
		return 0, err
	}
	own, began := sides.Own(), time.Now()
	for range n {
		if size, err = get(ctx, c, s.URL, query, accept, io.Discard); err != nil {
			return 0, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	wall, client := time.Since(began), sides.Own()-own
	after, err := s.CPU()
	each := time.Duration(n)
	r.server, r.client, r.wall = append(r.server, (after-cpu)/each), append(r.client, client/each), append(r.wall, wall/each)
	return size, err
}

func get(ctx context.Context, c *http.Client, url, query, accept string, into io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/pods"+query, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", accept)
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("LIST pods: %s", resp.Status)
	}
	return io.Copy(into, resp.Body)
}

// check compares the number of pods in the answer, or that are told to remain after a few, with what it should be, so
// that both sides do the same work.
func (k kind) check(ctx context.Context, c *http.Client, url string, want int) error {
	query := k.query
	if k.pods > 0 {
		want = k.pods
	} else {
		query = "?limit=10"
	}
	var b bytes.Buffer
	if _, err := get(ctx, c, url, query, k.accept, &b); err != nil {
		return err
	}
	n, left := 0, (*int64)(nil)
	if k.accept == asTable {
		var t metav1.Table
		if err := json.Unmarshal(b.Bytes(), &t); err != nil {
			return err
		}
		n, left = len(t.Rows), t.RemainingItemCount
	} else {
		scheme := runtime.NewScheme()
		if err := corev1.AddToScheme(scheme); err != nil {
			return err
		}
		var l corev1.PodList
		if err := runtime.DecodeInto(serializer.NewCodecFactory(scheme).UniversalDeserializer(), b.Bytes(), &l); err != nil {
			return err
		}
		n, left = len(l.Items), l.RemainingItemCount
	}
	if left != nil {
		n += int(*left)
	}
	if n != want {
		return fmt.Errorf("%d pods instead of %d", n, want)
	}
	return nil
}
