package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/munnerz/goautoneg"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A zpage tells people, and programs that ask for it by name, of the process: /statusz how long it runs and as what,
// /flagz what it was told at its start. Without an Accept header, and for text/plain, it is text; as
// "application/json;v=v1beta1;g=config.k8s.io;as=Statusz" (or yaml, or v1alpha1) it is an object.
type zpage struct {
	name string // statusz
	kind string // Statusz
	text func() string
	data func() map[string]any
}

// zpagesGroup is the group of the objects.
const zpagesGroup = "config.k8s.io"

// zpageWarning is the head of the text, in upstream's words, which people know how to skip.
const zpageWarning = "\napiserver %s\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.\n"

// AddPages serves /statusz and /flagz, for a process that was started at started and told flags.
func (h *Handler) AddPages(started time.Time, flags map[string]string) {
	folders := func() (out []string) {
		for _, p := range h.Paths() {
			out = append(out, "/"+strings.SplitN(p, "/", 3)[1])
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	i := Info()
	emulated := i.EmulationMajor + "." + i.EmulationMinor
	h.paths["/statusz"] = zpage{"statusz", "Statusz",
		func() string {
			up := int64(time.Since(started).Seconds())
			return fmt.Sprintf("\nStarted: %s\nUp: %d hr %02d min %02d sec\nGo version: %s\nBinary version: %s\nEmulation version: %s\nPaths: %s\n",
				started.UTC().Format(time.UnixDate), up/3600, up/60%60, up%60, runtime.Version(), release(), emulated, strings.Join(folders(), " "))
		},
		func() map[string]any {
			return map[string]any{"startTime": metav1.NewTime(started), "uptimeSeconds": int64(time.Since(started).Seconds()), "goVersion": runtime.Version(),
				"binaryVersion": release(), "emulationVersion": emulated, "paths": folders()}
		}}
	h.paths["/flagz"] = zpage{"flagz", "Flagz",
		func() string {
			var b strings.Builder
			for _, name := range slices.Sorted(maps.Keys(flags)) {
				fmt.Fprintf(&b, "%s: %s\n", name, flags[name])
			}
			return b.String()
		},
		func() map[string]any { return map[string]any{"flags": flags} }}
}

// Paths are those that the root of the server lists.
func (h *Handler) Paths() (out []string) {
	for p := range h.paths {
		if !strings.HasPrefix(p, "/debug") {
			out = append(out, p)
		}
	}
	return out
}

// ServeHTTP answers in the form that the client accepts.
func (z zpage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	media, version, ok := z.choose(r.Header.Get("Accept"))
	switch {
	case !ok:
		z.refuse(w, r)
	case media == "text/plain":
		text(w, http.StatusOK, fmt.Sprintf(zpageWarning, z.name)+z.text())
	default:
		z.structured(w, media, version)
	}
}

// choose is the media type of the first clause that this page can answer, and the version of the object wanted.
func (z zpage) choose(accept string) (media, version string, ok bool) {
	if strings.TrimSpace(accept) == "" {
		return "text/plain", "", true
	}
	for _, c := range goautoneg.ParseAccept(accept) {
		name := c.Type + "/" + c.SubType
		as, v := c.Params["as"], c.Params["v"]
		switch {
		case as == "" && (name == "text/plain" || name == "text/*" || name == "*/*"):
			return "text/plain", "", true
		case as == z.kind && c.Params["g"] == zpagesGroup && (v == "v1beta1" || v == "v1alpha1") && (name == "application/json" || name == "application/yaml"):
			return name, v, true
		}
	}
	return "", "", false
}

func (z zpage) structured(w http.ResponseWriter, media, version string) {
	o := z.data()
	o["kind"], o["apiVersion"], o["metadata"] = z.kind, zpagesGroup+"/"+version, map[string]string{"name": "apiserver"}
	if version == "v1alpha1" {
		w.Header().Set("Warning", fmt.Sprintf("299 - %q", "This version of the "+z.name+" endpoint is deprecated. Please use a newer version."))
	}
	writeObject(w, http.StatusOK, media, fmt.Sprintf("%s;g=%s;v=%s;as=%s", media, zpagesGroup, version, z.kind), o)
}

// refuse says which forms there are, in yaml to who asked for that.
func (z zpage) refuse(w http.ResponseWriter, r *http.Request) {
	s := apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "", metav1.SchemeGroupVersion.WithResource("").GroupResource(), "", "", 0, false).Status()
	s.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	s.Message, s.Reason, s.Details = "only the following media types are accepted: application/json, application/yaml, text/plain", metav1.StatusReasonNotAcceptable, nil
	media := "application/json"
	if strings.HasPrefix(r.Header.Get("Accept"), "application/yaml") {
		media = "application/yaml"
	}
	writeObject(w, http.StatusNotAcceptable, media, media, s)
}

// writeObject sends an object as JSON or YAML.
func writeObject(w http.ResponseWriter, code int, media, contentType string, o any) {
	body, err := json.Marshal(o)
	if media == "application/yaml" {
		var problem error
		body, problem = yaml.JSONToYAML(body)
		err = errors.Join(err, problem)
	}
	if err != nil {
		text(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(code)
	w.Write(body)
}
