package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/munnerz/goautoneg"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/negotiate"
)

const (
	aggregatedGroup   = "apidiscovery.k8s.io"
	aggregatedVersion = "v2"
	aggregatedKind    = "APIGroupDiscoveryList"
)

// serveRoot answers /api or /apis in the first form of the Accept header that there is: the plain list or everything.
func serveRoot(w http.ResponseWriter, r *http.Request, plain, aggregated *document) {
	media, ok := wantsAggregated(r.Header.Get("Accept"))
	if !ok {
		servePlain(w, r, plain)
		return
	}
	etag, err := aggregated.etag()
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Vary", "Accept") // said, as upstream does, of the aggregated form only
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "public")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	params := ";g=" + aggregatedGroup + ";v=" + aggregatedVersion + ";as=" + aggregatedKind
	write(w, r, aggregated, negotiate.Output{Media: media}, params)
}

// wantsAggregated returns the encoding where the best acceptable clause asks for the aggregated document.
func wantsAggregated(accept string) (negotiate.Media, bool) {
	if !strings.Contains(accept, aggregatedKind) {
		return "", false
	}
	for _, c := range goautoneg.ParseAccept(accept) {
		m := negotiate.Media(c.Type + "/" + c.SubType)
		known := m == negotiate.JSON || m == negotiate.YAML || m == negotiate.Protobuf
		if as, any := c.Params["as"], c.Params["g"] != "" || c.Params["v"] != ""; as == "" && !any {
			if known || c.Type == "*" {
				return "", false // a plain clause comes first
			}
			continue
		}
		if known && c.Params["as"] == aggregatedKind && c.Params["g"] == aggregatedGroup && c.Params["v"] == aggregatedVersion {
			return m, true
		}
	}
	return "", false
}

func servePlain(w http.ResponseWriter, r *http.Request, d *document) {
	choose := negotiate.ChoosePlain
	if Lists(r.URL.Path) || strings.Contains(r.Header.Get("Accept"), "as=APIGroupDiscoveryList") {
		choose = func(r *http.Request) (negotiate.Output, error) { return negotiate.Choose(r, false) }
	}
	out, err := choose(r)
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, r, d, out, "")
}

// Lists says whether path is that of all groups or of one. Upstream's aggregator answers these, as it does who asks for the
// aggregated form, and refuses an encoding in other words than its router does, but for its own group. They are answered whatever the method.
func Lists(path string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSuffix(path, "/"), "/apis")
	return ok && strings.Count(rest, "/") <= 1 && rest != "/apiregistration.k8s.io"
}

// write sends d; params are added to the content type.
func write(w http.ResponseWriter, r *http.Request, d *document, out negotiate.Output, params string) {
	body, err := d.in(out.Media)
	if err != nil {
		writeError(w, err)
		return
	}
	data := body.body
	switch {
	case out.Pretty && out.Media == negotiate.JSON:
		var b bytes.Buffer
		if json.Indent(&b, data, "", "  ") == nil {
			data = b.Bytes()
		}
	case body.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
		data = body.gzip
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Add("Vary", "Accept-Encoding")
	}
	w.Header().Set("Content-Type", string(out.Media)+params)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method != http.MethodHead {
		w.Write(data)
	}
}

// writeError answers with a Status in JSON.
func writeError(w http.ResponseWriter, err error) {
	st := metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError, Message: err.Error()}
	var as apierrors.APIStatus
	if errors.As(err, &as) {
		st = as.Status()
	}
	st.Kind, st.APIVersion = "Status", "v1"
	body, err := json.Marshal(&st)
	if err != nil {
		http.Error(w, st.Message, int(st.Code))
		return
	}
	w.Header().Set("Content-Type", string(negotiate.JSON))
	w.WriteHeader(int(st.Code))
	w.Write(append(body, '\n'))
}
