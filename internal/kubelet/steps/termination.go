package steps

import (
	"bytes"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/kubelet/logs"
	"minato.dev/minato/internal/kubelet/seen"
)

// The most of a termination message that is kept: of the file, and of the log in its place.
const (
	maxMessage     = 4096
	maxLogMessage  = 2048
	maxLogLines    = 80
	maxPodMessages = 12 * 1024
)

// ExitMessage is what an ended container left to say: its termination file, or where that is empty, its policy asks for
// it and it failed, the end of its log.
func (n *Node) ExitMessage(pod *corev1.Pod, s *seen.Container) string {
	limit := maxMessage
	if count := len(pod.Spec.Containers) + len(pod.Spec.InitContainers); count > 3 {
		limit = maxPodMessages / count
	}
	if m := readHead(n.TerminationFile(pod, s.Name, s.Attempt), limit); m != "" {
		return m
	}
	if s.Annotations[seen.TerminationPolicy] != string(corev1.TerminationMessageFallbackToLogsOnError) || s.ExitCode == 0 {
		return ""
	}
	var b bytes.Buffer
	lines := int64(maxLogLines)
	if err := logs.Read(&b, s.LogPath, logs.Options{Tail: &lines}); err != nil {
		return ""
	}
	return string(b.Bytes()[max(0, b.Len()-maxLogMessage):])
}

func readHead(path string, limit int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, int64(limit)))
	if err != nil {
		return ""
	}
	return string(raw)
}
