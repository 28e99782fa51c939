package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"minato.dev/minato/internal/cluster"
)

// ask sends one request to whoever serves the node. The body of the answer is the caller's to close.
func (e *env) ask(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	if _, err := cluster.ReadIdentity(e.data); err != nil && !brings[path] {
		return nil, fmt.Errorf("no cluster in %s and no image; start one with `minato up`, or bring an image with `minato image load` or `pull`", e.data)
	}
	n, err := e.reach(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := cluster.AskLocal(ctx, n.Socket, method, path, q, body)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reach the node in %s: %w", e.data, err), n.Close())
	}
	resp.Body = answerBody{resp.Body, n}
	return resp, nil
}

// brings are the requests that make sense on a machine where nothing was ever done.
var brings = map[string]bool{"/images/load": true, "/images/pull": true}

// answerBody keeps the connection to the node for as long as its answer is read.
type answerBody struct {
	io.ReadCloser
	node *cluster.Node
}

// Close implements io.Closer.
func (b answerBody) Close() error { return errors.Join(b.ReadCloser.Close(), b.node.Close()) }

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
