package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

// settle waits until a user can start: the node is Ready and the cluster DNS answers, as seen from outside.
func (a *assembly) settle(ctx context.Context, c *client.Client, dnsUp <-chan struct{}) error {
	if err := waitReady(ctx, c, a.id.NodeName); err != nil {
		return err
	}
	a.report("node Ready")
	select {
	case <-dnsUp:
	case <-ctx.Done():
		return nil
	}
	if err := a.askDNS(ctx); err != nil {
		return err
	}
	a.tell(Phase{Name: "DNS", After: time.Since(a.start), Ready: true})
	return nil
}

// waitReady follows the node until its Ready condition is true. A server that does not answer or serve, as one elsewhere may
// be, is asked again.
func waitReady(ctx context.Context, c *client.Client, name string) error {
	return again(ctx, 50*time.Millisecond, func() error { return followReady(ctx, client.Of(c, client.Nodes), name) },
		func(err error, _ time.Duration) bool { return client.MayPass(err) })
}

func followReady(ctx context.Context, door client.Resource[*corev1.Node], name string) error {
	for ctx.Err() == nil {
		o := metav1.ListOptions{FieldSelector: "metadata.name=" + name}
		nodes, list, err := door.List(ctx, "", o)
		if err != nil {
			return fmt.Errorf("wait for the node: %w", err)
		}
		for _, n := range nodes {
			if isReady(n) {
				return nil
			}
		}
		o.ResourceVersion = list.GetResourceVersion()
		if done, err := watchReady(ctx, door, o); done || err != nil {
			return err
		}
	}
	return ctx.Err()
}

func watchReady(ctx context.Context, door client.Resource[*corev1.Node], o metav1.ListOptions) (bool, error) {
	w, err := door.Watch(ctx, "", o)
	if err != nil {
		return false, fmt.Errorf("wait for the node: %w", err)
	}
	defer w.Close()
	for {
		e, err := w.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("wait for the node: %w", err)
		}
		if isReady(e.Object) {
			return true, nil
		}
	}
}

func isReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// askDNS asks the cluster DNS for the API's own name until it answers.
func (a *assembly) askDNS(ctx context.Context) error {
	q := new(dns.Msg).SetQuestion("kubernetes.default.svc."+clusterDomain+".", dns.TypeA)
	server := net.JoinHostPort(a.id.DNSIP().String(), "53")
	c := &dns.Client{Timeout: time.Second}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		r, _, err := c.ExchangeContext(ctx, q, server)
		if err == nil && len(r.Answer) > 0 {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
