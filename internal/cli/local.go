package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"minato.dev/minato/internal/cluster"
)

// ask sends one request to the cluster on this machine. The body of the answer is the caller's to close.
func (e *env) ask(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	socket, err := cluster.FindLocalSocket(e.data)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://minato"+path+"?"+q.Encode(), body)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("reach the cluster in %s: %w; is it running? see `minato status`", e.data, err)
	}
	return resp, nil
}

// local asks and shows the progress of what was asked for on a terminal.
func (e *env) local(ctx context.Context, method, path string, q url.Values, body io.Reader) (cluster.LocalAnswer, error) {
	var last cluster.LocalAnswer
	resp, err := e.ask(ctx, method, path, q, body)
	if err != nil {
		return last, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return last, refused(resp)
	}
	show := newBars(e.err)
	defer show.end()
	for d := json.NewDecoder(resp.Body); !last.Done; {
		last = cluster.LocalAnswer{}
		if err := d.Decode(&last); err != nil {
			if ctx.Err() != nil {
				return last, errors.New("interrupted")
			}
			return last, fmt.Errorf("the cluster broke off its answer: %w", err)
		}
		if last.Progress != nil {
			show.update(*last.Progress)
		}
	}
	if last.Error != "" {
		return last, errors.New(last.Error)
	}
	return last, nil
}

// refused reads an answer that is a plain error.
func refused(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(string(text)))
}
