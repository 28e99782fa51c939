package runtime

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
	"minato.dev/minato/internal/runtime/pin"
)

// DefaultHandlers are the other OCI runtimes that a node offers where they are installed.
var DefaultHandlers = map[string]string{"crun": "crun", "runc": "runc"}

// ownHandlers are names of our own way to run containers. It is built from the same library as runc, and so stands in
// where a RuntimeClass asks for runc and that is not installed.
var ownHandlers = []string{"", "minato", "runc"}

// programDirs are looked through for programs, whatever the PATH that we were started with.
var programDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// program returns the path of a handler's program, "" for our own way. A program that has been installed since the start is
// found.
func (s *Server) program(handler string) (string, error) {
	wanted, known := s.cfg.Handlers[handler]
	if known {
		if path := findProgram(wanted); path != "" {
			return path, nil
		}
	}
	switch {
	case slices.Contains(ownHandlers, handler):
		return "", nil
	case known:
		return "", invalid("no runtime for %q is configured: its program %s is not on this node; install it (on Debian: apt-get install %s), or name its path with --runtime-handlers %s=PATH",
			handler, wanted, filepath.Base(wanted), handler)
	}
	return "", invalid("no runtime for %q is configured: this node has %q; name others with --runtime-handlers %s=PATH", handler, s.handlers()[1:], handler)
}

// handlers are the names that pods can run by on this node now, our own first.
func (s *Server) handlers() []string {
	names := slices.Clone(ownHandlers)
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Handlers)) {
		if !slices.Contains(names, name) && findProgram(s.cfg.Handlers[name]) != "" {
			names = append(names, name)
		}
	}
	return names
}

func findProgram(name string) string {
	candidates := []string{name}
	if !filepath.IsAbs(name) {
		candidates = nil
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), programDirs...) {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, path := range candidates {
		if st, err := os.Stat(path); filepath.IsAbs(path) && err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// programOf is the program that made, or is going to make, a container; a program that has gone is an error.
func (s *Server) programOf(c *ledger.Container) (string, error) {
	p := s.sandboxes.Get(c.Sandbox)
	if p == nil {
		return "", notFound("sandbox", c.Sandbox)
	}
	return s.program(p.Handler)
}

// features are what a handler's containers can have. Nil where that is not known yet and would have to be asked for.
func (s *Server) features(handler string) *api.RuntimeHandlerFeatures {
	path, err := s.program(handler)
	if err != nil {
		return &api.RuntimeHandlerFeatures{}
	}
	if path == "" {
		return &api.RuntimeHandlerFeatures{RecursiveReadOnlyMounts: true, UserNamespaces: pin.CanShift()}
	}
	known, ok := s.abilities.known(path)
	if !ok {
		return nil
	}
	return known.features()
}

// checkHandler refuses what the sandbox's handler cannot do for it.
func (s *Server) checkHandler(ctx context.Context, r *api.RunPodSandboxRequest) error {
	path, err := s.program(r.GetRuntimeHandler())
	if err != nil {
		return err
	}
	if path != "" && userOptions(r.GetConfig()) != nil && !s.ask(ctx, r.GetRuntimeHandler()).UserNamespaces {
		return precondition("sandbox config: runtime handler %q (%s) does not support user namespaces: runc 1.2 and crun 1.8 do, others where their \"features\" say idmap", r.GetRuntimeHandler(), path)
	}
	return nil
}

// checkMountsOf refuses mounts that the sandbox's handler would make other than asked.
func (s *Server) checkMountsOf(ctx context.Context, p *ledger.Sandbox, c *api.ContainerConfig) error {
	for _, m := range c.GetMounts() {
		if !m.GetRecursiveReadOnly() {
			continue
		}
		f := s.features(p.Handler)
		if f == nil {
			f = s.ask(ctx, p.Handler)
		}
		if !f.RecursiveReadOnlyMounts {
			return precondition("container config: mount %q: runtime handler %q does not support recursive read-only mounts", m.GetContainerPath(), p.Handler)
		}
	}
	return nil
}

// CheckHandlers reads handlers from a list like "youki=/usr/local/bin/youki,crun=/opt/crun", and adds the default ones that
// it does not name.
func CheckHandlers(wanted string) (map[string]string, error) {
	out := maps.Clone(DefaultHandlers)
	for w := range strings.SplitSeq(wanted, ",") {
		if w = strings.TrimSpace(w); w == "" {
			continue
		}
		name, program, ok := strings.Cut(w, "=")
		if !ok || name == "" || !filepath.IsAbs(program) {
			return nil, fmt.Errorf("runtime handler %q: must be NAME=/PATH/OF/PROGRAM, for example youki=/usr/local/bin/youki", w)
		}
		if name == "minato" {
			return nil, fmt.Errorf("runtime handler %q: the name is that of the built-in runtime", w)
		}
		out[name] = program
	}
	return out, nil
}
