package cri

import (
	"context"
	"path"
	"time"

	"google.golang.org/grpc"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Deadlines of kubelet's own client: two minutes a verb, four for the ones that set up a sandbox or a container.
const (
	shortCall = 2 * time.Minute
	longCall  = 4 * time.Minute
)

// deadline returns how long verb may take, 0 for no limit. StopContainer and ExecSync carry a time of their own, on top
// of which the verb gets the short one; a pull ends when it makes no progress, which the server knows.
func deadline(verb string, req any) time.Duration {
	switch r := req.(type) {
	case *runtime.StopContainerRequest:
		return time.Duration(r.GetTimeout())*time.Second + shortCall
	case *runtime.ExecSyncRequest:
		if r.GetTimeout() <= 0 {
			return 0
		}
		return time.Duration(r.GetTimeout())*time.Second + shortCall
	case *runtime.CheckpointContainerRequest:
		return time.Duration(r.GetTimeout())*time.Second + shortCall
	}
	switch verb {
	case "PullImage":
		return 0
	case "RunPodSandbox", "CreateContainer", "StartContainer", "StopPodSandbox", "RemovePodSandbox":
		return longCall
	}
	return shortCall
}

// withDeadline gives a unary call its verb's deadline. Streams have none: they end with their context.
func withDeadline(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if d := deadline(path.Base(method), req); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}
