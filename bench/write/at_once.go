package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"minato.dev/minato/bench/report"
	"minato.dev/minato/bench/sides"
)

const clients = 32

// atOnce measures how many ConfigMaps a second many clients, each on a connection of its own, can create together.
// All of the machine is at work then, the client too, so this is the one figure here whose client is a lean one (sides.Conn).
func atOnce(ctx context.Context, both []*sides.Side, rounds, n int, r *report.Result) error {
	var rate, cpu, client [2][]float64
	for turn := range rounds {
		for i, s := range both {
			one, err := together(ctx, s, turn, n)
			if err != nil {
				return fmt.Errorf("%s: %d clients: %w", s.Name, clients, err)
			}
			rate[i] = append(rate[i], float64(n)/one.took.Seconds())
			cpu[i] = append(cpu[i], report.Ms(one.server / time.Duration(n))[0])
			client[i] = append(client[i], report.Ms(one.client / time.Duration(n))[0])
		}
	}
	group := fmt.Sprintf("create, %d clients at once", clients)
	r.Add(report.Row{Group: group, Name: "a second", Unit: report.PerSecond, More: true, Key: true, Reach: report.Reach{Ratio: 3}, Ours: report.Median(rate[0]), Theirs: report.Median(rate[1])})
	r.Add(report.Row{Group: group, Name: "server CPU of one", Unit: report.Millis, Ours: report.Median(cpu[0]), Theirs: report.Median(cpu[1])})
	r.Add(report.Row{Group: group, Name: "the client's CPU", Unit: report.Millis, Ours: report.Median(client[0]), Theirs: report.Median(client[1])})
	return nil
}

// load is what one round took, once everybody was connected.
type load struct{ took, server, client time.Duration }

func together(ctx context.Context, s *sides.Side, turn, n int) (load, error) {
	conns, err := connect(ctx, s)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return load{}, err
	}
	before, err := s.CPU()
	if err != nil {
		return load{}, err
	}
	own, began := sides.Own(), time.Now()
	var g errgroup.Group
	for w, c := range conns {
		g.Go(func() error {
			for i := w; i < n; i += clients {
				if err := createOn(c, fmt.Sprintf("together-%d-%d", turn, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = g.Wait()
	one := load{took: time.Since(began), client: sides.Own() - own}
	after, unread := s.CPU()
	one.server = after - before
	return one, errors.Join(err, unread)
}

func connect(ctx context.Context, s *sides.Side) (conns []*sides.Conn, err error) {
	for range clients {
		c, err := s.Connect(ctx)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// createOn is create with a client that leaves the machine to the servers.
func createOn(c *sides.Conn, name string) error {
	status, text, err := c.Do(http.MethodPost, path, "application/json", configMap(name, ""))
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("%d: %.300s", status, text)
	}
	return err
}
