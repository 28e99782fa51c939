package spec

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// defaults are the fourteen capabilities that containers have had since Docker chose them.
var defaults = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// capabilities computes the sets. Inheritable stays empty, as a file's inheritable capabilities would otherwise be
// raised for any user; only ambient ones need it.
func (b *build) capabilities() error {
	c := b.sec.GetCapabilities()
	if b.privileged() {
		all := slices.Clone(b.Node.Capabilities)
		b.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
		return nil
	}
	add, err := b.expand(c.GetAddCapabilities(), true)
	if err != nil {
		return err
	}
	ambient, err := b.expand(c.GetAddAmbientCapabilities(), true)
	if err != nil {
		return err
	}
	drop, err := b.expand(c.GetDropCapabilities(), false)
	if err != nil {
		return err
	}
	set := b.available(defaults)
	if has(c.GetAddCapabilities(), "ALL") {
		set = b.Node.Capabilities
	}
	if has(c.GetDropCapabilities(), "ALL") {
		set = nil // what is added by name still comes back: "drop ALL, add X" means X
	}
	ambient = minus(ambient, drop)
	set = minus(union(union(set, add), ambient), drop)
	slices.Sort(set)
	b.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set, Ambient: ambient, Inheritable: ambient}
	return nil
}

// available leaves out what this node cannot give; a default is no promise.
func (b *build) available(caps []string) []string {
	return slices.DeleteFunc(slices.Clone(caps), func(c string) bool { return !b.Node.has(c) })
}

// expand completes names to CAP_X, leaves out ALL and refuses what is unknown or, where needed, not here.
func (b *build) expand(caps []string, needed bool) ([]string, error) {
	var out []string
	for _, c := range caps {
		full := strings.ToUpper(c)
		if full == "ALL" || full == "CAP_ALL" {
			continue
		}
		if !strings.HasPrefix(full, "CAP_") {
			full = "CAP_" + full
		}
		if !slices.Contains(names, full) {
			return nil, fmt.Errorf("unknown capability %q", c)
		}
		if needed && !b.Node.has(full) {
			return nil, fmt.Errorf("capability %s cannot be added: this node does not have it itself", full)
		}
		out = append(out, full)
	}
	return out, nil
}

func has(caps []string, name string) bool {
	return slices.ContainsFunc(caps, func(c string) bool { return strings.EqualFold(c, name) || strings.EqualFold(c, "CAP_"+name) })
}

func minus(set, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(set), func(c string) bool { return slices.Contains(drop, c) })
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, c := range b {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}
