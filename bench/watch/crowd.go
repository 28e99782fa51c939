package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"minato.dev/minato/bench/sides"
)

// format is one way in which events arrive.
type format struct{ name, accept string }

var (
	protobuf = format{"protobuf", "application/vnd.kubernetes.protobuf;stream=watch"}
	json     = format{"JSON", "application/json"}
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
	heard := make([][]float64, watchers)
	bodies := make([]io.ReadCloser, watchers)
	var open errgroup.Group
	open.SetLimit(32)
	for i := range watchers {
		open.Go(func() (err error) {
			bodies[i], err = watch(ctx, s, f)
			return err
		})
	}
	if err := open.Wait(); err != nil {
		return err
	}
	defer func() {
		for _, b := range bodies {
			_ = b.Close()
		}
	}()
	before, err := s.CPU()
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	for i := range watchers {
		heard[i] = make([]float64, 0, events)
		all.Go(func() error { return listen(bodies[i], events, &heard[i]) })
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
	for _, h := range heard {
		into.latency = append(into.latency, h...)
	}
	return nil
}

// watch opens one watch, on a connection of its own, from now on.
func watch(ctx context.Context, s *sides.Side, f format) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"?watch=true&timeoutSeconds=600&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", f.accept)
	resp, err := s.Client(false).Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return nil, errors.Join(fmt.Errorf("watch: %s: %s", resp.Status, b), resp.Body.Close())
	}
	return resp.Body, nil
}

// listen reads until it has found the marks of so many events, and notes how late each is.
func listen(body io.Reader, events int, late *[]float64) error {
	buf := make([]byte, 0, 64<<10)
	whole := len(mark) + 19
	for len(*late) < events {
		if len(buf) == cap(buf) {
			return errors.New("an event larger than the buffer")
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		now := time.Now().UnixNano()
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			i := bytes.Index(rest, []byte(mark))
			if i < 0 || len(rest) < i+whole {
				rest = rest[max(0, min(max(i, len(rest)-whole), len(rest))):]
				break
			}
			sent, bad := strconv.ParseInt(string(rest[i+len(mark):i+whole]), 10, 64)
			if bad != nil {
				return bad
			}
			*late = append(*late, float64(now-sent)/1e6)
			rest = rest[i+whole:]
		}
		buf = buf[:copy(buf, rest)]
		if err != nil && len(*late) < events {
			return fmt.Errorf("watch ended after %d of %d events: %w", len(*late), events, err)
		}
	}
	return nil
}

// write replaces ConfigMaps at a steady pace; a writer that is late does not wait.
func write(ctx context.Context, s *sides.Side, rate, events int) error {
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for w := range writers {
		g.Go(func() error {
			c := s.Client(false)
			defer c.CloseIdleConnections()
			for i := w; i < events; i += writers {
				due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					return ctx.Err()
				}
				n := name(i)
				if err := send(ctx, c, http.MethodPut, s.URL+path+"/"+n, content(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}
