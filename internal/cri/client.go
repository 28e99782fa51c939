// Package cri is the contract between a kubelet and a container runtime: it dials a CRI v1 socket, gives every verb a
// deadline and sorts the errors that come back.
//
// The kubelet calls it to reach any CRI server (ours, containerd, CRI-O); the runtime room implements the other end. A
// Client is safe for concurrent use. Tests serve a runtime.v1 implementation on a unix socket in a temporary directory
// and dial that.
package cri

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// MaxMessage bounds one gRPC message in bytes, as kubelet and containerd do.
const MaxMessage = 16 << 20

// A Client speaks both CRI v1 services over one connection. Calls without a deadline of their own get the one that
// deadlines.go lists for the verb; a call's context may shorten it, never the reverse.
type Client struct {
	runtime.RuntimeServiceClient
	runtime.ImageServiceClient
	conn *grpc.ClientConn
}

// Dial connects to the CRI server at socket (a path, or "unix:///path") and returns when the connection is up. The
// error is ctx's where it ends first. A server that goes away later is redialled by the connection itself.
func Dial(ctx context.Context, socket string) (*Client, error) {
	path := strings.TrimPrefix(socket, "unix://")
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("cri: dial %q: want an absolute path or unix:///path", socket)
	}
	conn, err := grpc.NewClient("unix://"+path,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: redial, MinConnectTimeout: 3 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithUnaryInterceptor(withDeadline),
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		return nil, fmt.Errorf("cri: dial %s: %w", path, err)
	}
	c := &Client{RuntimeServiceClient: runtime.NewRuntimeServiceClient(conn), ImageServiceClient: runtime.NewImageServiceClient(conn), conn: conn}
	if err := c.connect(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cri: dial %s: %w", path, err)
	}
	return c, nil
}

// redial keeps a node that restarts its runtime waiting for a fraction of a second, not gRPC's default of minutes.
var redial = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second}

// connect waits until the connection is ready or ctx ends.
func (c *Client) connect(ctx context.Context) error {
	c.conn.Connect()
	for s := c.conn.GetState(); s != connectivity.Ready; s = c.conn.GetState() {
		if !c.conn.WaitForStateChange(ctx, s) {
			return fmt.Errorf("%s: %w", s, context.Cause(ctx))
		}
	}
	return nil
}

// Close ends the connection; running calls fail with Canceled.
func (c *Client) Close() error { return c.conn.Close() }
