package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/steps"
)

// Spot is where a probe asks: a container, and its pod's address.
type Spot struct {
	Container *corev1.Container
	ID        string
	IP        string
}

// maxOutput is how much of a probe's answer events show.
const maxOutput = 10 << 10

// Checker returns the Check that runs probes for real; exec probes go through rt.
func Checker(rt runtimeapi.RuntimeServiceClient) Check {
	return func(ctx context.Context, s Spot, p *corev1.Probe) (bool, string, error) {
		switch {
		case p.Exec != nil:
			return execProbe(ctx, rt, s, p)
		case p.HTTPGet != nil:
			return httpProbe(ctx, s, p.HTTPGet)
		case p.TCPSocket != nil:
			return tcpProbe(ctx, s, p.TCPSocket)
		case p.GRPC != nil:
			return grpcProbe(ctx, s, p.GRPC)
		}
		return false, "", errors.New("missing probe handler")
	}
}

func execProbe(ctx context.Context, rt runtimeapi.RuntimeServiceClient, s Spot, p *corev1.Probe) (bool, string, error) {
	resp, err := rt.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: s.ID, Cmd: p.Exec.Command, Timeout: int64(max(p.TimeoutSeconds, 1))})
	if cri.IsTimeout(err) {
		return false, fmt.Sprintf("command timed out: %q timed out after %ds", strings.Join(p.Exec.Command, " "), max(p.TimeoutSeconds, 1)), nil
	}
	if err != nil {
		return false, "", errors.New(cri.Message(err))
	}
	out := append(resp.Stdout, resp.Stderr...)
	return resp.ExitCode == 0, string(out[:min(len(out), maxOutput)]), nil
}

func httpProbe(ctx context.Context, s Spot, a *corev1.HTTPGetAction) (bool, string, error) {
	port, err := steps.Port(s.Container, a.Port)
	if err != nil {
		return false, "", err
	}
	host := a.Host
	if host == "" {
		host = s.IP
	}
	u := steps.URL(a, host, port)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, "", err
	}
	req.Header.Set("User-Agent", "kube-probe/1.37")
	req.Header.Set("Accept", "*/*")
	for _, h := range a.HTTPHeaders {
		req.Header.Add(h.Name, h.Value)
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
		}
	}
	c := &http.Client{Transport: probeTransport, CheckRedirect: stayLocal}
	resp, err := c.Do(req)
	if err != nil {
		return false, err.Error(), nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxOutput))
	if resp.StatusCode >= 200 && resp.StatusCode < 400 {
		return true, string(body), nil
	}
	return false, fmt.Sprintf("HTTP probe failed with statuscode: %d", resp.StatusCode), nil
}

var probeTransport = &http.Transport{DisableKeepAlives: true, DisableCompression: true, Proxy: nil,
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}

// stayLocal follows redirects on the same host only; one that leads elsewhere counts as an answer.
func stayLocal(req *http.Request, via []*http.Request) error {
	if req.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

func tcpProbe(ctx context.Context, s Spot, a *corev1.TCPSocketAction) (bool, string, error) {
	port, err := steps.Port(s.Container, a.Port)
	if err != nil {
		return false, "", err
	}
	host := a.Host
	if host == "" {
		host = s.IP
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false, err.Error(), nil
	}
	conn.Close()
	return true, "", nil
}

func grpcProbe(ctx context.Context, s Spot, a *corev1.GRPCAction) (bool, string, error) {
	addr := net.JoinHostPort(s.IP, strconv.Itoa(int(a.Port)))
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("kube-probe/1.37"))
	if err != nil {
		return false, "", err
	}
	defer conn.Close()
	service := ""
	if a.Service != nil {
		service = *a.Service
	}
	resp, err := healthpb.NewHealthClient(conn).Check(metadata.NewOutgoingContext(ctx, metadata.MD{}), &healthpb.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
	if err != nil {
		return false, grpcWords(addr, err), nil
	}
	if resp.Status != healthpb.HealthCheckResponse_SERVING {
		return false, fmt.Sprintf("service unhealthy (responded with %q)", resp.Status.String()), nil
	}
	return true, "service healthy", nil
}

func grpcWords(addr string, err error) string {
	switch status.Code(err) {
	case codes.Unimplemented:
		return fmt.Sprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", status.Convert(err).Message())
	case codes.DeadlineExceeded:
		return fmt.Sprintf("timeout: failed to connect service %q within the probe's timeout: %v", addr, err)
	}
	return "error: health rpc probe failed: " + err.Error()
}
