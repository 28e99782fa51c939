package runtime

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
)

// networkUsage reads the counters of the pod's interfaces from inside its network. They are shown by the thread's own
// view of /proc.
func (s *Server) networkUsage(ctx context.Context, p *ledger.Sandbox, now time.Time) (*api.NetworkUsage, error) {
	var text []byte
	err := pin.InNetwork(ctx, s.cfg.netns(p.ID), func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("network of sandbox %s: %w", p.ID, err)
	}
	u := &api.NetworkUsage{Timestamp: now.UnixNano()}
	for _, i := range parseNetDev(string(text)) {
		switch i.GetName() {
		case "lo":
		case "eth0":
			u.DefaultInterface = i
		default:
			u.Interfaces = append(u.Interfaces, i)
		}
	}
	return u, nil
}

// parseNetDev reads the table of /proc/net/dev: after the name, bytes, packets, errors ... received (8 columns), then sent.
func parseNetDev(text string) []*api.NetworkInterfaceUsage {
	var out []*api.NetworkInterfaceUsage
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if !ok || len(f) < 16 {
			continue
		}
		at := func(i int) *api.UInt64Value {
			v, err := strconv.ParseUint(f[i], 10, 64)
			if err != nil {
				return nil
			}
			return number(v)
		}
		out = append(out, &api.NetworkInterfaceUsage{Name: strings.TrimSpace(name), RxBytes: at(0), RxErrors: at(2), TxBytes: at(8), TxErrors: at(10)})
	}
	return out
}
