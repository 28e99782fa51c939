package health

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// A Check is one named condition. Check returns nil where all is well; it must obey ctx and answer in milliseconds.
type Check struct {
	Name  string
	Check func(ctx context.Context) error
	Live  bool // part of /livez too, not only of /readyz and /healthz
}

// Handler serves the paths of this package.
type Handler struct {
	paths   map[string]http.Handler
	metrics *Metrics
}

// New returns a handler for the checks, which are run in this order after "ping". metrics may be nil: then /metrics shows what the
// rest of the process counts.
func New(checks []Check, metrics *Metrics) *Handler {
	slis := newSLIs()
	h := &Handler{paths: map[string]http.Handler{"/version": http.HandlerFunc(serveVersion), "/metrics": metrics.handler(), "/metrics/slis": slis}, metrics: metrics}
	checks = append([]Check{{Name: "ping", Live: true, Check: func(context.Context) error { return nil }}}, checks...)
	live := slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !c.Live })
	slis.sets = []checkSet{{"healthz", checks}, {"livez", live}, {"readyz", checks}}
	for _, set := range slis.sets {
		h.paths["/"+set.name] = root(set.name, set.checks, slis)
		for _, c := range set.checks {
			h.paths["/"+set.name+"/"+c.Name] = single(c)
		}
	}
	h.addProfiles()
	return h
}

// handler returns who serves path, nil where no one does.
func (h *Handler) handler(path string) http.Handler {
	if x := h.paths[path]; x != nil {
		return x
	}
	if path == "/version/" {
		return h.paths["/version"]
	}
	if strings.HasPrefix(path, profiles) {
		return h.paths[profiles]
	}
	return nil
}

// Serves says whether path belongs to this handler.
func (h *Handler) Serves(path string) bool { return h.handler(path) != nil }

// ServeHTTP answers any method, as upstream does; who routes here holds the version to GET.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := h.handler(r.URL.Path)
	switch {
	case x == nil:
		http.NotFound(w, r)
	default:
		x.ServeHTTP(w, r)
	}
}

// root runs all checks but those that the query excludes. Why a check fails is told only by its own path, which needs
// more rights, and in the log of who fails.
func root(name string, checks []Check, told *slis) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff") // upstream has it here and not with a single check
		query := r.URL.Query()
		report, failed := run(r.Context(), checks, query["exclude"], func(check string, err error) { told.note(name, check, err) })
		if failed {
			text(w, http.StatusInternalServerError, report+name+" check failed\n")
			return
		}
		if !query.Has("verbose") {
			text(w, http.StatusOK, "ok")
			return
		}
		text(w, http.StatusOK, report+name+" check passed\n")
	})
}

func run(ctx context.Context, checks []Check, excluded []string, told func(check string, err error)) (report string, failed bool) {
	var b strings.Builder
	unknown := slices.Clone(excluded)
	for _, c := range checks {
		if slices.Contains(excluded, c.Name) {
			unknown = slices.DeleteFunc(unknown, func(s string) bool { return s == c.Name })
			fmt.Fprintf(&b, "[+]%s excluded: ok\n", c.Name)
			continue
		}
		err := c.Check(ctx)
		told(c.Name, err)
		if err != nil {
			failed = true
			fmt.Fprintf(&b, "[-]%s failed: reason withheld\n", c.Name)
			continue
		}
		fmt.Fprintf(&b, "[+]%s ok\n", c.Name)
	}
	if slices.Sort(unknown); len(unknown) > 0 {
		quoted := make([]string, len(unknown))
		for i, s := range unknown {
			quoted[i] = fmt.Sprintf("%q", s)
		}
		fmt.Fprintf(&b, "warn: some health checks cannot be excluded: no matches for %s\n", strings.Join(quoted, ","))
	}
	return b.String(), failed
}

func single(c Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.Check(r.Context()); err != nil {
			text(w, http.StatusInternalServerError, fmt.Sprintf("internal server error: %v\n", err))
			return
		}
		text(w, http.StatusOK, "ok")
	})
}

func text(w http.ResponseWriter, code int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if code != http.StatusOK {
		w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	w.WriteHeader(code)
	io.WriteString(w, s)
}
