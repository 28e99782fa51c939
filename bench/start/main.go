// Command start measures how long a one-node cluster takes from exec to its phases, in a new data directory and in one
// that has been used, in a network namespace of its own; medians over runs.
//
//	go run ./bench/start [-minato bin/minato] [-kubectl bin/kubectl] [-runs 5]
//
// The API counts as answering when /readyz says so to a client that asks every two milliseconds. Ready of the node, DNS
// and pod are as minato and kubectl report them, the start of kubectl itself included.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"time"

	"minato.dev/minato/bench/measure"
)

func main() {
	program := flag.String("minato", "bin/minato", "the program to measure")
	kubectl := flag.String("kubectl", "bin/kubectl", "the kubectl to create and await the first pod with")
	runs := flag.Int("runs", 5, "how often to start")
	flag.Parse()
	if err := start(context.Background(), *program, *kubectl, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench/start:", err)
		os.Exit(1)
	}
}

// phases are what is timed, in order, and what it should reach.
var phases = []struct{ name, reach string }{
	{"etcd", ""}, {"API answering", "0.5 s"}, {"container runtime", ""}, {"node Ready", "1 s"}, {"DNS", ""}, {"first hello pod Ready", "2 s"},
	{"CPU of all processes until then", ""},
}

func start(ctx context.Context, program, kubectl string, runs int) error {
	first, again := map[string][]time.Duration{}, map[string][]time.Duration{}
	for range runs {
		if err := twice(ctx, program, kubectl, first, again); err != nil {
			return err
		}
	}
	rows := [][]string{{"phase", "new data directory", "used data directory", "to reach"}}
	for _, p := range phases {
		rows = append(rows, []string{p.name, seconds(first[p.name]), seconds(again[p.name]), p.reach})
	}
	fmt.Printf("Start of a one-node cluster, medians of %d runs; %s.\n\n", runs, measure.Load())
	measure.Table(os.Stdout, rows)
	return nil
}

// twice starts a cluster in a new directory, stops it and starts it again.
func twice(ctx context.Context, program, kubectl string, first, again map[string][]time.Duration) (err error) {
	c, err := measure.NewCluster(ctx, program, "start")
	if err != nil {
		return err
	}
	defer func() {
		if end := c.Close(); err == nil {
			err = end
		}
	}()
	if err := once(ctx, c, kubectl, "one", first); err != nil {
		return err
	}
	if err := measure.Output(c.Kubectl(ctx, kubectl, "delete", "pod", "one", "--now")); err != nil {
		return err
	}
	if err := c.Down(ctx); err != nil {
		return err
	}
	return once(ctx, c, kubectl, "two", again)
}

// line is one phase in what `minato up` prints.
var line = regexp.MustCompile(`(?m)^  (\S.*?) +([0-9.]+) s$`)

func once(ctx context.Context, c *measure.Cluster, kubectl, pod string, into map[string][]time.Duration) error {
	note := func(name string, d time.Duration) { into[name] = append(into[name], d) }
	var out bytes.Buffer
	up := c.Up(ctx)
	up.Stdout, up.Stderr = &out, &out
	began := time.Now()
	if err := up.Start(); err != nil {
		return err
	}
	answered, err := answering(ctx, c)
	if err != nil {
		return err
	}
	note("API answering", answered.Sub(began))
	if err := up.Wait(); err != nil {
		return fmt.Errorf("up: %w: %s", err, out.String())
	}
	for _, m := range line.FindAllStringSubmatch(out.String(), -1) {
		if s, err := strconv.ParseFloat(m[2], 64); err == nil {
			note(m[1], time.Duration(s*float64(time.Second)))
		}
	}
	if err := measure.Output(c.Kubectl(ctx, kubectl, "run", pod, "--image=minato.local/hello", "--port=80")); err != nil {
		return err
	}
	if err := measure.Output(c.Kubectl(ctx, kubectl, "wait", "pod", pod, "--for=condition=Ready", "--timeout=30s")); err != nil {
		return err
	}
	note("first hello pod Ready", time.Since(began))
	ps, err := c.Net.Processes()
	note("CPU of all processes until then", measure.Total(ps).CPU)
	return err
}

// answering asks until the server says that it is ready.
func answering(ctx context.Context, c *measure.Cluster) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: c.Net.DialContext, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/readyz", c.Port), nil)
	if err != nil {
		return time.Time{}, err
	}
	for {
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Now(), nil
			}
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the API did not answer: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func seconds(times []time.Duration) string {
	return fmt.Sprintf("%.2f s", measure.Median(times).Seconds())
}
