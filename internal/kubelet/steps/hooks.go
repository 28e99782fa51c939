package steps

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
)

// hook runs one lifecycle handler to its end.
func (n *Node) hook(ctx context.Context, pod *corev1.Pod, c *corev1.Container, id string, h *corev1.LifecycleHandler, podIPs []string) error {
	switch {
	case h.Exec != nil:
		resp, err := n.Runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{ContainerId: id, Cmd: h.Exec.Command})
		if err != nil {
			return fmt.Errorf("exec hook: %s", cri.Message(err))
		}
		if resp.ExitCode != 0 {
			return fmt.Errorf("exec hook: command exited with %d: %s%s", resp.ExitCode, resp.Stdout, resp.Stderr)
		}
		return nil
	case h.HTTPGet != nil:
		return httpHook(ctx, c, h.HTTPGet, podIPs)
	case h.Sleep != nil:
		select {
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return errors.New("the lifecycle handler names no action that is known")
}

// httpHook calls the container; any answer below 400 is success.
func httpHook(ctx context.Context, c *corev1.Container, a *corev1.HTTPGetAction, podIPs []string) error {
	port, err := Port(c, a.Port)
	if err != nil {
		return err
	}
	host := a.Host
	if host == "" && len(podIPs) > 0 {
		host = podIPs[0]
	}
	u := URL(a, host, port)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "kube-lifecycle/1.37")
	for _, h := range a.HTTPHeaders {
		req.Header.Add(h.Name, h.Value)
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
		}
	}
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 10<<10))
	if resp.StatusCode >= 400 {
		return fmt.Errorf("http hook: %s answered %s", u.String(), resp.Status)
	}
	return nil
}

// URL is where an HTTP action goes.
func URL(a *corev1.HTTPGetAction, host string, port int) *url.URL {
	u, err := url.Parse(a.Path)
	if err != nil {
		u = &url.URL{Path: a.Path}
	}
	u.Scheme = "http"
	if a.Scheme != "" {
		u.Scheme = strings.ToLower(string(a.Scheme))
	}
	u.Host = net.JoinHostPort(host, strconv.Itoa(port))
	if u.Path != "" && !strings.HasPrefix(u.Path, "/") {
		u.Path = "/" + u.Path
	}
	return u
}

// Port resolves a port number or the name of one of the container's ports.
func Port(c *corev1.Container, p intstr.IntOrString) (int, error) {
	port := p.IntValue()
	if p.Type == intstr.String {
		if n, err := strconv.Atoi(p.StrVal); err == nil {
			port = n
		}
		for _, cp := range c.Ports {
			if cp.Name == p.StrVal {
				port = int(cp.ContainerPort)
			}
		}
	}
	if port < 1 || port > 65535 {
		return 0, fmt.Errorf("invalid port number: %v", p.String())
	}
	return port, nil
}
