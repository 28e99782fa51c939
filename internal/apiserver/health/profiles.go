package health

import (
	"net/http"
	"net/http/pprof"
)

const profiles = "/debug/pprof/"

// addProfiles serves Go's profiles. Authorization guards them: only administrators may look.
func (h *Handler) addProfiles() {
	h.paths["/debug/pprof"] = http.RedirectHandler(profiles, http.StatusFound)
	h.paths[profiles] = http.HandlerFunc(pprof.Index)
	h.paths[profiles+"cmdline"] = http.HandlerFunc(pprof.Cmdline)
	h.paths[profiles+"profile"] = http.HandlerFunc(pprof.Profile)
	h.paths[profiles+"symbol"] = http.HandlerFunc(pprof.Symbol)
	h.paths[profiles+"trace"] = http.HandlerFunc(pprof.Trace)
}
