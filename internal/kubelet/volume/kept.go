package volume

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/client"
)

// keptTime is after how long volumes that could not be brought up to date are tried again.
const keptTime = 10 * time.Second

// unanswered is the failure of a question to the API server that may get an answer later.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// asked marks err where it is the server's, and may pass.
func asked(err error) error {
	if err != nil && client.MayPass(err) {
		return unanswered{err}
	}
	return err
}

// away says that err is nothing but questions without answers.
func away(err error) bool {
	all, joined := err.(interface{ Unwrap() []error })
	if !joined {
		return errors.As(err, new(unanswered))
	}
	for _, e := range all.Unwrap() {
		if !away(e) {
			return false
		}
	}
	return true
}

// stands says that the volume shows what an earlier Setup wrote, this process's or another's. On a tmpfs nothing is left
// after a boot.
func (m *Mounter) stands(pod *corev1.Pod, v *corev1.Volume) bool {
	if v.ConfigMap == nil && v.Secret == nil && v.Projected == nil {
		return false
	}
	dir := m.Path(pod, v)
	_, err := os.Stat(filepath.Join(dir, dataLink))
	return err == nil && (v.ConfigMap != nil || isMount(dir))
}
