// Command list measures what a LIST of 10,000 pods costs the servers, ours and upstream's kube-apiserver with etcd, in
// turns, over TLS and HTTP/2, with the same client and the same keys in both stores.
//
//	go run ./bench/list [-json FILE] [-minato bin/minato] [-upstream DIR] [-pods 10000] [-rounds 7]
//
// Server CPU is that of all processes in the side's network namespace: for ours the whole one-node cluster, at rest but
// for the API server; for upstream's kube-apiserver and etcd. The client's is its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
)

const perRound = 4

func main() {
	var f sides.Flags
	f.Register()
	pods := flag.Int("pods", 10000, "how many pods there are")
	rounds := flag.Int("rounds", 7, "rounds of each kind of LIST, ours and upstream's in turns")
	report.Main(report.Result{Bench: "list", Title: "LIST of many pods", About: "HTTP/2 over TLS, in turns; medians over rounds. Ours is the whole one-node " +
		"cluster, whose controllers and scheduler see the pods; upstream's is kube-apiserver and etcd alone. The same client asks both and counts its own CPU apart."},
		func(ctx context.Context, r *report.Result) error { return list(ctx, f, *pods, *rounds, r) })
}

// kinds are the ways to ask.
var kinds = []struct {
	name, accept string
	reach        float64
	compress     bool
}{
	{"protobuf", runtime.ContentTypeProtobuf, 4, false},
	{"JSON", runtime.ContentTypeJSON, 5, false},
	{"protobuf, gzip", runtime.ContentTypeProtobuf, 0, true},
	{"JSON, gzip", runtime.ContentTypeJSON, 0, true},
}

// result holds one LIST's cost, from each round.
type result struct{ server, client, wall []time.Duration }

func list(ctx context.Context, f sides.Flags, pods, rounds int, r *report.Result) (err error) {
	both, err := sides.Both(ctx, f, sides.Pods(pods))
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range both {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, k := range kinds {
		var first [2]time.Duration
		var res [2]result
		var size int64
		for i, s := range both {
			c := s.Client(k.compress)
			if err := check(ctx, c, s.URL, k.accept, pods); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			once := result{}
			if size, err = round(ctx, s, c, k.accept, 1, &once); err != nil {
				return err
			}
			first[i] = once.server[0]
		}
		for range rounds {
			for i, s := range both {
				if size, err = round(ctx, s, s.Client(k.compress), k.accept, perRound, &res[i]); err != nil {
					return err
				}
			}
		}
		group := fmt.Sprintf("%d pods, %s, %.1f MB", pods, k.name, report.MB(size))
		add := func(name string, of func(result) *report.Value) *report.Row {
			r.Add(report.Row{Group: group, Name: name, Unit: report.Millis, Ours: of(res[0]), Theirs: of(res[1])})
			return &r.Rows[len(r.Rows)-1]
		}
		cpu := add("server CPU", func(x result) *report.Value { return report.Median(report.Ms(x.server...)) })
		cpu.Reach.Ratio, cpu.Key = k.reach, k.reach != 0
		r.Add(report.Row{Group: group, Name: "server CPU of the first", Unit: report.Millis, Ours: report.Just(report.Ms(first[0])[0]), Theirs: report.Just(report.Ms(first[1])[0])})
		add("until the client has it", func(x result) *report.Value { return report.Median(report.Ms(x.wall...)) })
		add("the client's CPU", func(x result) *report.Value { return report.Median(report.Ms(x.client...)) })
	}
	return sides.AddMemory(r, both...)
}

// round lists n times and notes the cost of one.
func round(ctx context.Context, s *sides.Side, c *http.Client, accept string, n int, r *result) (size int64, err error) {
	defer c.CloseIdleConnections()
	cpu, err := s.CPU()
	if err != nil {
		return 0, err
	}
	own, began := sides.Own(), time.Now()
	for range n {
		if size, err = get(ctx, c, s.URL, accept, io.Discard); err != nil {
			return 0, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	wall, client := time.Since(began), sides.Own()-own
	after, err := s.CPU()
	each := time.Duration(n)
	r.server, r.client, r.wall = append(r.server, (after-cpu)/each), append(r.client, client/each), append(r.wall, wall/each)
	return size, err
}

func get(ctx context.Context, c *http.Client, url, accept string, into io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/pods", nil)
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

// check asks for a few pods and counts those that are told to remain, so that both sides have all.
func check(ctx context.Context, c *http.Client, url, accept string, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/pods?limit=10", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", accept)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return err
	}
	var l corev1.PodList
	if err := runtime.DecodeInto(serializer.NewCodecFactory(scheme).UniversalDeserializer(), b, &l); err != nil {
		return fmt.Errorf("%w: %.200s", err, b)
	}
	if l.RemainingItemCount == nil || len(l.Items)+int(*l.RemainingItemCount) != want {
		return fmt.Errorf("%d items and %v more instead of %d in all", len(l.Items), l.RemainingItemCount, want)
	}
	return nil
}
