package container

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Port opens a port of the host.
type Port struct {
	HostIP    string `json:"hostIP,omitempty"`
	Host      uint16 `json:"host"`
	Container uint16 `json:"container"`
	Protocol  string `json:"protocol"` // "tcp" or "udp"
}

// ParsePort reads [IP:]HOST:CONTAINER[/tcp|udp].
func ParsePort(text string) (p Port, err error) {
	rest, protocol, given := strings.Cut(text, "/")
	p.Protocol = strings.ToLower(protocol)
	if !given {
		p.Protocol = "tcp"
	}
	parts := strings.Split(rest, ":")
	if len(parts) == 3 {
		if ip, err := netip.ParseAddr(parts[0]); err != nil || !ip.Is4() {
			return p, fmt.Errorf("port %q: %q is no IPv4 address", text, parts[0])
		}
		p.HostIP, parts = parts[0], parts[1:]
	}
	if len(parts) != 2 || p.Protocol != "tcp" && p.Protocol != "udp" {
		return p, fmt.Errorf("port %q: must be [IP:]HOST:CONTAINER[/tcp|udp], for example 8080:80", text)
	}
	for i, to := range []*uint16{&p.Host, &p.Container} {
		n, err := strconv.ParseUint(parts[i], 10, 16)
		if err != nil || n == 0 {
			return p, fmt.Errorf("port %q: %q is not a number from 1 to 65535", text, parts[i])
		}
		*to = uint16(n)
	}
	return p, nil
}

// String is how ps shows it.
func (p Port) String() string {
	ip := p.HostIP
	if ip == "" {
		ip = "0.0.0.0"
	}
	return fmt.Sprintf("%s:%d->%d/%s", ip, p.Host, p.Container, p.Protocol)
}

func (p Port) mapping() *cri.PortMapping {
	m := &cri.PortMapping{HostIp: p.HostIP, HostPort: int32(p.Host), ContainerPort: int32(p.Container), Protocol: cri.Protocol_TCP}
	if p.Protocol == "udp" {
		m.Protocol = cri.Protocol_UDP
	}
	return m
}

var size = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([bkmgt]?)(?:i?b)?$`)

// ParseSize reads "64m", "1.5g", "1048576"; units are powers of 1024, as docker has them.
func ParseSize(text string) (int64, error) {
	m := size.FindStringSubmatch(strings.ToLower(text))
	if m == nil {
		return 0, fmt.Errorf("size %q: must be a number with b, k, m or g, for example 64m", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("size %q: %w", text, err)
	}
	n *= math.Pow(1024, float64(strings.Index("bkmgt", m[2]))) // no unit is at 0, as b is
	if n > math.MaxInt64/2 {
		return 0, fmt.Errorf("size %q: too large", text)
	}
	return int64(n), nil
}

// Restart is what happens when a container ends by itself.
type Restart struct {
	Always    bool `json:"always,omitempty"`
	OnFailure bool `json:"onFailure,omitempty"`
	Most      int  `json:"most,omitempty"` // restarts with OnFailure; 0: any number
}

// ParseRestart reads no, always, unless-stopped, on-failure and on-failure:N.
func ParseRestart(text string) (r Restart, err error) {
	policy, most, counted := strings.Cut(text, ":")
	switch {
	case text == "" || text == "no":
		return r, nil
	case text == "always" || text == "unless-stopped":
		return Restart{Always: true}, nil
	case policy == "on-failure":
		r.OnFailure = true
		if counted {
			r.Most, err = strconv.Atoi(most)
		}
		if err == nil && r.Most >= 0 {
			return r, nil
		}
	}
	return r, fmt.Errorf("restart policy %q: must be no, always, unless-stopped, on-failure or on-failure:N", text)
}

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)

// CheckName refuses what cannot be a container's name.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("name %q: must be 1 to 63 letters, digits, _, . or -, and begin with a letter or digit", name)
	}
	return nil
}

// ParseCapability writes a capability as the runtime wants it, without CAP_.
func ParseCapability(name string) (string, error) {
	n := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	if n == "" {
		return "", errors.New("capability: must not be empty")
	}
	return n, nil
}

// String is the policy in the words of ParseRestart, without the count.
func (r Restart) String() string {
	switch {
	case r.Always:
		return "always"
	case r.OnFailure:
		return "on-failure"
	}
	return "no"
}
