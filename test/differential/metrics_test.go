package differential

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A family is one metric: its type and the names of its labels.
type family struct {
	kind   string
	labels []string
	seen   bool // it has a value
}

var (
	sample     = regexp.MustCompile(`^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+`)
	labelName  = regexp.MustCompile(`([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"`)
	partSuffix = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// families reads a page of metrics, of those that have values.
func families(page string) map[string]*family {
	out := map[string]*family{}
	for line := range strings.Lines(page) {
		if name, kind, ok := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " "); ok && strings.HasPrefix(line, "# TYPE ") {
			out[name] = &family{kind: strings.TrimSpace(kind)}
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || line[0] == '#' {
			continue
		}
		f := out[m[1]]
		if f == nil {
			f = out[partSuffix.ReplaceAllString(m[1], "")]
		}
		if f == nil {
			continue
		}
		f.seen = true
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" && l[1] != "quantile" && !slices.Contains(f.labels, l[1]) {
				f.labels = append(f.labels, l[1])
			}
		}
	}
	for name, f := range out {
		if slices.Sort(f.labels); !f.seen {
			delete(out, name)
		}
	}
	return out
}

// promised are the metrics that ours has for ever; what else upstream measures is in the ledger.
var promised = []string{
	"apiserver_admission_step_admission_duration_seconds",
	"apiserver_client_certificate_expiration_seconds", "apiserver_current_inflight_requests", "apiserver_longrunning_requests",
	"apiserver_request_duration_seconds", "apiserver_request_sli_duration_seconds", "apiserver_request_total", "apiserver_resource_objects",
	"apiserver_response_sizes", "apiserver_storage_size_bytes", "apiserver_tls_handshake_errors_total", "apiserver_watch_cache_resource_version",
	"kubernetes_feature_enabled",
	"authenticated_user_requests",
	"authentication_attempts", "authentication_duration_seconds", "authorization_attempts_total", "authorization_duration_seconds",
	"etcd_request_duration_seconds", "etcd_requests_total", "go_goroutines", "go_info", "go_memstats_heap_inuse_bytes", "kubernetes_build_info",
	"kubernetes_healthcheck", "kubernetes_healthchecks_total", "process_cpu_seconds_total", "process_max_fds", "process_network_receive_bytes_total",
	"process_network_transmit_bytes_total", "process_open_fds", "process_resident_memory_bytes", "process_virtual_memory_bytes",
	"process_virtual_memory_max_bytes", "version_info",
}

// metrics compares the names of what both servers measure, with types and labels. What only ours has is not compared: it is
// a whole cluster in one process.
func metrics(p *Pair) {
	for _, path := range []string{"/metrics", "/metrics/slis"} {
		r := Request{Method: http.MethodGet, Path: path, Accept: "text/plain"}
		o, t := p.both(p.t.Context(), r)
		p.Asked++
		ours, theirs := families(string(o.Raw)), families(string(t.Raw))
		for _, name := range sortedKeys(theirs) {
			is, want := ours[name], theirs[name]
			step := "metrics/more" + path
			if slices.Contains(promised, name) {
				step = "metrics" + path
			}
			switch {
			case is == nil:
				p.note(step, r, []Difference{{Where: name, Ours: "(none)", Theirs: want.kind}})
			case is.kind != want.kind:
				p.note(step, r, []Difference{{Where: name, Ours: is.kind, Theirs: want.kind}})
			case !slices.Equal(is.labels, want.labels):
				p.note(step, r, []Difference{{Where: name, Ours: strings.Join(is.labels, ","), Theirs: strings.Join(want.labels, ",")}})
			}
		}
	}
}
