package runtime

import "strconv"

// Annotations by which a client asks for what CRI has no words for. `minato run` uses them; kubelets do not.
const (
	// NoNetwork on a sandbox gives it a network namespace with lo and nothing else.
	NoNetwork = "minato.dev/no-network"
	// KeepEarly on a container keeps its first output for whoever attaches first.
	KeepEarly = "minato.dev/keep-early-output"
	// LogMaxSize on a container has its log rotated by the shim at so many bytes, for no kubelet does it.
	LogMaxSize = "minato.dev/log-max-size"
)

// logFiles is how many files a log that the shim rotates may have.
const logFiles = 3

// logMaxSize is 0 where the client rotates by itself.
func logMaxSize(annotations map[string]string) int64 {
	n, err := strconv.ParseInt(annotations[LogMaxSize], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
