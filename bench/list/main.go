// Command list measures what a LIST of 10,000 pods costs the servers, ours and upstream's kube-apiserver with etcd, in
// turns, over TLS and HTTP/2, with the same client and the same keys in both stores.
//
//	go run ./bench/list [-minato bin/minato] [-upstream DIR] [-pods 10000] [-rounds 7]
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
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/bench/sides"
)

const perRound = 4

func main() {
	var f sides.Flags
	f.Register()
	pods := flag.Int("pods", 10000, "how many pods there are")
	rounds := flag.Int("rounds", 7, "rounds of each kind of LIST, ours and upstream's in turns")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := list(ctx, f, *pods, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench/list:", err)
		os.Exit(1)
	}
}

// kinds are the ways to ask.
var kinds = []struct {
	name, accept, reach string
	compress            bool
}{
	{"protobuf", runtime.ContentTypeProtobuf, "4x", false},
	{"JSON", runtime.ContentTypeJSON, "5x", false},
	{"protobuf, gzip", runtime.ContentTypeProtobuf, "", true},
	{"JSON, gzip", runtime.ContentTypeJSON, "", true},
}

// result holds one LIST's cost, from each round.
type result struct{ server, client, wall []time.Duration }

func list(ctx context.Context, f sides.Flags, pods, rounds int) (err error) {
	both, err := sides.Both(ctx, f, sides.Pods(pods))
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range both {
			err = errors.Join(err, s.Close())
		}
	}()
	rows := [][]string{{"LIST", "ours, server CPU", "upstream", "ratio", "to reach", "ours, first", "upstream, first", "ours, client CPU", "upstream", "ours, wall", "upstream", "body MB"}}
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
		m := measure.Median
		rows = append(rows, []string{k.name, sides.Ms(m(res[0].server)), sides.Ms(m(res[1].server)), sides.Ratio(m(res[0].server), m(res[1].server)), k.reach,
			sides.Ms(first[0]), sides.Ms(first[1]), sides.Ms(m(res[0].client)), sides.Ms(m(res[1].client)), sides.Ms(m(res[0].wall)), sides.Ms(m(res[1].wall)),
			fmt.Sprintf("%.1f", float64(size)/1e6)})
	}
	fmt.Printf("LIST of %d pods, HTTP/2 over TLS, medians of %d rounds of %d each, in turns; %s.\n\n", pods, rounds, perRound, measure.Load())
	measure.Table(os.Stdout, rows)
	return sides.PrintMemory(both...)
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
