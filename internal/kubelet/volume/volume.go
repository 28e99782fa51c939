// Package volume makes the volumes of pods under the kubelet's root directory and takes them away again.
//
// The kubelet calls Setup before a pod's containers start and again whenever something that the volumes show has
// changed; both are the same work: bring the directories in line with the objects. Teardown removes everything of a
// pod, also what an earlier process left. Mounts are read back from the kernel, never remembered. Methods are safe for
// concurrent use for different pods. Tests run on the real file system.
package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Objects reads what volumes show. The error is one that apierrors.IsNotFound knows where the object is missing.
type Objects interface {
	ConfigMap(ctx context.Context, ns, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, ns, name string) (*corev1.Secret, error)
}

// Tokens asks the API server for a service account token.
type Tokens func(ctx context.Context, ns, account string, r *authv1.TokenRequest) (*authv1.TokenRequest, error)

// Downward evaluates a downward API item of the pod.
type Downward func(pod *corev1.Pod, item *corev1.DownwardAPIVolumeFile) (string, error)

// Mounter makes the volumes of one node.
type Mounter struct {
	root     string
	objects  Objects
	tokens   Tokens
	downward Downward
	now      func() time.Time

	// Bundles and Certificates serve two sources of projected volumes; where they are nil, such volumes fail. They are set
	// before the first Setup.
	Bundles      Bundles
	Certificates Certificates

	mu     sync.Mutex
	issued map[tokenKey]token
	kept   map[types.UID]time.Time // when pods whose volumes show what they showed before are set up again
	certs  map[tokenKey]certificate
}

// New returns a Mounter that keeps pod directories under root/pods.
func New(root string, o Objects, t Tokens, d Downward) *Mounter {
	return &Mounter{root: root, objects: o, tokens: t, downward: d, now: time.Now, issued: map[tokenKey]token{}, kept: map[types.UID]time.Time{}, certs: map[tokenKey]certificate{}}
}

// PodDir is the directory of everything of one pod.
func (m *Mounter) PodDir(uid types.UID) string { return filepath.Join(m.root, "pods", string(uid)) }

// Error is the failure of one volume, in upstream's words.
type Error struct {
	Volume string
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.Volume, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Setup brings all volumes of the pod up to date. It returns an *Error (or several, joined) for those that failed; the
// others are ready all the same. Volumes that were made before stay as they are while the API server does not answer: Renew
// says when that is tried again.
func (m *Mounter) Setup(ctx context.Context, pod *corev1.Pod) error {
	if err := os.MkdirAll(m.PodDir(pod.UID), 0o750); err != nil {
		return err
	}
	var errs []error
	kept := false
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		err := m.setup(ctx, pod, v)
		switch {
		case err != nil && ctx.Err() == nil && away(err) && m.stands(pod, v):
			kept = true
		case err != nil:
			errs = append(errs, &Error{v.Name, err})
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, pod.UID)
	if kept {
		m.kept[pod.UID] = m.now().Add(keptTime)
	}
	return errors.Join(errs...)
}

// Live says whether any volume of the pod shows objects that may change after the start.
func Live(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil {
			return true
		}
	}
	return false
}

func (m *Mounter) setup(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) error {
	switch {
	case v.EmptyDir != nil:
		return m.emptyDir(pod, v)
	case v.HostPath != nil:
		return checkHostPath(v.HostPath)
	case v.ConfigMap != nil, v.Secret != nil, v.DownwardAPI != nil, v.Projected != nil:
		return m.files(ctx, pod, v)
	case v.Image != nil:
		return nil // the runtime mounts it with the container
	}
	return fmt.Errorf("this node cannot mount volumes of type %s", Type(v))
}

// Path is where the volume is on the host; empty for image volumes, which have no path.
func (m *Mounter) Path(pod *corev1.Pod, v *corev1.Volume) string {
	if v.HostPath != nil {
		return v.HostPath.Path
	}
	if plugin := plugins[Type(v)]; plugin != "" {
		return filepath.Join(m.PodDir(pod.UID), "volumes", "kubernetes.io~"+plugin, v.Name)
	}
	return ""
}

var plugins = map[string]string{"emptyDir": "empty-dir", "configMap": "configmap", "secret": "secret",
	"downwardAPI": "downward-api", "projected": "projected"}
