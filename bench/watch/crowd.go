package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"minato.dev/minato/bench/sides"
)

const (
	path    = "/api/v1/namespaces/default/configmaps"
	objects = 48 // ConfigMaps that are replaced in turns
	writers = 8  // divides objects: no two write one at a time
)

// mark goes before the 19 digits of the time of sending, in any format.
const mark = "sent at "

var filler = strings.Repeat("0123456789abcdef", 60)

func name(i int) string { return fmt.Sprintf("fan-%d", i%objects) }

func content(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"filler":%q,"time":"%s%019d"}}`, name, filler, mark, time.Now().UnixNano())
}

// prepare creates what is to be replaced.
func prepare(ctx context.Context, s *sides.Side) error {
	if err := s.Exists(ctx, "/api/v1/namespaces/default"); err != nil {
		return err
	}
	c := s.Client(false)
	defer c.CloseIdleConnections()
	for i := range objects {
		if err := send(ctx, c, http.MethodPost, s.URL+path, content(name(i))); err != nil {
			return err
		}
	}
	return nil
}

func send(ctx context.Context, c *http.Client, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.200s", method, url, resp.Status, b)
	}
	return err
}

// measureOnce lets watchers watch while writers write for the window, and waits until every watcher has everything.
func measureOnce(ctx context.Context, s *sides.Side, watchers, rate int, f format, window time.Duration, into *outcome) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	events := int(float64(rate) * window.Seconds())
	from, err := present(ctx, s)
	if err != nil {
		return err
	}
	crowd := make([]*watcher, watchers)
	all, ctx := errgroup.WithContext(ctx) // its end is that of the watches too: the first failure ends all
	var open errgroup.Group
	open.SetLimit(32)
	for i := range watchers {
		crowd[i] = &watcher{s: s, format: f, from: from, late: make([]float64, 0, events)}
		open.Go(func() error { return crowd[i].open(ctx) })
	}
	defer func() {
		for _, w := range crowd {
			w.close()
		}
	}()
	if err := open.Wait(); err != nil {
		return err
	}
	before, err := s.CPU()
	if err != nil {
		return err
	}
	for _, w := range crowd {
		all.Go(func() error { return w.listen(ctx, events) })
	}
	all.Go(func() error { return write(ctx, s, rate, events) })
	if err := all.Wait(); err != nil {
		return err
	}
	after, err := s.CPU()
	if err != nil {
		return err
	}
	into.perCPU = append(into.perCPU, float64(watchers*events)/(after-before).Seconds())
	for _, w := range crowd {
		into.latency = append(into.latency, w.late...)
		into.resumed += w.opened - 1
	}
	return nil
}

// present is the resourceVersion of the newest state.
func present(ctx context.Context, s *sides.Side) (string, error) {
	c := s.Client(false)
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?limit=1", nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || list.Metadata.ResourceVersion == "" {
		return "", errors.Join(fmt.Errorf("list: %s without a resourceVersion", resp.Status), err)
	}
	return list.Metadata.ResourceVersion, nil
}

// write replaces ConfigMaps at a steady pace; a writer that is late does not wait.
func write(ctx context.Context, s *sides.Side, rate, events int) error {
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for w := range writers {
		g.Go(func() error {
			c, err := s.Connect(ctx)
			if err != nil {
				return err
			}
			defer c.Close()
			for i := w; i < events; i += writers {
				due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					return ctx.Err()
				}
				n := name(i)
				status, text, err := c.Do(http.MethodPut, path+"/"+n, "application/json", content(n))
				if err != nil {
					return err
				}
				if status != http.StatusOK {
					return fmt.Errorf("put %s: %d: %.200s", n, status, text)
				}
			}
			return nil
		})
	}
	return g.Wait()
}
