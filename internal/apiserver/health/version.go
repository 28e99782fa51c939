package health

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"

	"k8s.io/apimachinery/pkg/version"
)

// Set at link time: -X minato.dev/minato/internal/apiserver/health.minatoVersion=0.1.0, and so on.
var (
	minatoVersion = "0.0.0-dev"
	commit        = ""
	buildDate     = "1970-01-01T00:00:00Z"
)

// kubernetesVersion is the release whose API is served.
const kubernetesVersion = "v1.37.2"

// Version is the full version: Kubernetes' release and, as build metadata, Minato's.
func Version() string { return kubernetesVersion + "+minato." + minatoVersion }

// release is Kubernetes' release without its v.
func release() string { return strings.TrimPrefix(kubernetesVersion, "v") }

// Info is the body of /version.
func Info() version.Info {
	parts := strings.Split(release(), ".")
	state := "clean"
	if commit == "" {
		state = ""
	}
	return version.Info{Major: parts[0], Minor: parts[1], EmulationMajor: parts[0], EmulationMinor: parts[1],
		MinCompatibilityMajor: parts[0], MinCompatibilityMinor: "36", GitVersion: Version(), GitCommit: commit, GitTreeState: state,
		BuildDate: buildDate, GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH}
}

func serveVersion(w http.ResponseWriter, r *http.Request) {
	body, err := json.MarshalIndent(Info(), "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}
