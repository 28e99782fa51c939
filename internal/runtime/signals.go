package runtime

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// stopSignal returns the signal that ends a container gently: the client's, the image's or SIGTERM, by its name.
func stopSignal(c *api.ContainerConfig, image string) (string, error) {
	name := image
	if want := c.GetStopSignal(); want != api.Signal_SIGNAL_RUNTIME_DEFAULT {
		name = strings.TrimPrefix(want.String(), "SIGNAL_")
		name = strings.NewReplacer("MINUS", "-", "PLUS", "+").Replace(name)
	}
	if name == "" {
		name = "SIGTERM"
	}
	sig, err := parseSignal(name)
	if err != nil {
		return "", err
	}
	return signalName(sig), nil
}

// The kernel's real-time signals as containers see them; the C library keeps the first two for itself.
const (
	rtMin = 34
	rtMax = 64
)

// parseSignal reads "SIGTERM", "TERM", "15" and "RTMIN+3".
func parseSignal(name string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= rtMax {
		return syscall.Signal(n), nil
	}
	full := strings.ToUpper(name)
	if !strings.HasPrefix(full, "SIG") {
		full = "SIG" + full
	}
	if sig := unix.SignalNum(full); sig != 0 {
		return sig, nil
	}
	if sig, ok := aliases[full]; ok {
		return sig, nil
	}
	for prefix, from := range map[string]int{"SIGRTMIN": rtMin, "SIGRTMAX": rtMax} {
		rest, ok := strings.CutPrefix(full, prefix)
		if !ok {
			continue
		}
		n := 0
		if rest != "" {
			var err error
			if n, err = strconv.Atoi(rest); err != nil {
				break
			}
		}
		if sig := from + n; sig >= rtMin && sig <= rtMax {
			return syscall.Signal(sig), nil
		}
	}
	return 0, invalid("stop signal %q is not a signal", name)
}

var aliases = map[string]syscall.Signal{"SIGCLD": syscall.SIGCHLD, "SIGPOLL": syscall.SIGIO, "SIGIOT": syscall.SIGABRT}

// signalName is the reverse of parseSignal.
func signalName(sig syscall.Signal) string {
	if n := unix.SignalName(sig); n != "" {
		return n
	}
	return "SIGRTMIN+" + strconv.Itoa(int(sig)-rtMin)
}

// signalValue is the enumeration that a status reports.
func signalValue(name string) api.Signal {
	if n, ok := strings.CutPrefix(name, "SIGRTMIN+"); ok {
		name = "SIGRTMINPLUS" + n
		if k, err := strconv.Atoi(n); err == nil && k > 15 {
			name = "SIGRTMAXMINUS" + strconv.Itoa(rtMax-rtMin-k)
		}
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, "PLUS0"), "MINUS0")
	return api.Signal(api.Signal_value["SIGNAL_"+name])
}
