package volume

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// objects is an API server of two maps.
type objects struct {
	maps    map[string]map[string]string
	secrets map[string]map[string][]byte
}

func (o objects) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	if d, ok := o.maps[name]; ok {
		return &corev1.ConfigMap{Data: d}, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("configmaps"), name)
}

func (o objects) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	if d, ok := o.secrets[name]; ok {
		return &corev1.Secret{Data: d}, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
}

type room struct {
	*Mounter
	t      *testing.T
	api    objects
	tokens int
	time   time.Time
}

func newRoom(t *testing.T) *room {
	r := &room{t: t, api: objects{map[string]map[string]string{}, map[string]map[string][]byte{}}, time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	r.Mounter = New(t.TempDir(), r.api, func(_ context.Context, _, _ string, req *authv1.TokenRequest) (*authv1.TokenRequest, error) {
		r.tokens++
		req.Status = authv1.TokenRequestStatus{Token: strings.Repeat("t", r.tokens), ExpirationTimestamp: metav1.Time{Time: r.time.Add(time.Duration(*req.Spec.ExpirationSeconds) * time.Second)}}
		return req, nil
	}, func(pod *corev1.Pod, item *corev1.DownwardAPIVolumeFile) (string, error) { return pod.Labels["a"], nil })
	r.now = func() time.Time { return r.time }
	t.Cleanup(func() {
		for _, uid := range []string{"u"} {
			if err := r.Teardown("u"); err != nil {
				t.Errorf("teardown of %s: %v", uid, err)
			}
			if left, err := mountsUnder(r.root); err != nil || len(left) > 0 {
				t.Errorf("mounts left: %v, %v", left, err)
			}
			if _, err := os.Stat(r.PodDir("u")); !os.IsNotExist(err) {
				t.Error("the pod directory is left")
			}
		}
	})
	return r
}

func (r *room) pod(volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", Name: "p", Namespace: "ns", Labels: map[string]string{"a": "b"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}, Volumes: volumes}}
}

func (r *room) setup(pod *corev1.Pod) {
	r.t.Helper()
	if err := r.Setup(r.t.Context(), pod); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) read(pod *corev1.Pod, file string) string {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.Path(pod, &pod.Spec.Volumes[0]), file))
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func volume(s corev1.VolumeSource) corev1.Volume { return corev1.Volume{Name: "v", VolumeSource: s} }

func named(n string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: n} }

func TestConfigMap(t *testing.T) {
	r := newRoom(t)
	r.api.maps["cm"] = map[string]string{"a": "1", "b": "2"}
	pod := r.pod(volume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("cm")}}))
	r.setup(pod)
	dir := r.Path(pod, &pod.Spec.Volumes[0])
	first, _ := os.Readlink(filepath.Join(dir, "..data"))
	r.setup(pod)
	if second, _ := os.Readlink(filepath.Join(dir, "..data")); second != first {
		t.Error("nothing changed and the files were written again")
	}
	r.api.maps["cm"] = map[string]string{"a": "3", "c": "4"}
	r.setup(pod)
	if a, b, c := r.read(pod, "a"), r.read(pod, "b"), r.read(pod, "c"); a != "3" || !strings.Contains(b, "no such file") || c != "4" {
		t.Errorf("files are %q %q %q", a, b, c)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 4 { // a, c, ..data, ..<time>
		t.Errorf("entries are %v", entries)
	}
}

func TestItemsAndErrors(t *testing.T) {
	r := newRoom(t)
	r.api.maps["cm"] = map[string]string{"a": "1"}
	yes, mode := true, int32(0o400)
	cm := func(change func(*corev1.ConfigMapVolumeSource)) *corev1.Pod {
		s := &corev1.ConfigMapVolumeSource{LocalObjectReference: named("cm")}
		change(s)
		return r.pod(volume(corev1.VolumeSource{ConfigMap: s}))
	}
	pod := cm(func(s *corev1.ConfigMapVolumeSource) {
		s.Items = []corev1.KeyToPath{{Key: "a", Path: "x/y", Mode: &mode}}
	})
	r.setup(pod)
	st, err := os.Stat(filepath.Join(r.Path(pod, &pod.Spec.Volumes[0]), "x/y"))
	if err != nil || st.Mode().Perm() != 0o400 {
		t.Errorf("mode is %v, %v", st, err)
	}
	for want, pod := range map[string]*corev1.Pod{
		`MountVolume.SetUp failed for volume "v" : configmaps "none" not found`:                                                                                      cm(func(s *corev1.ConfigMapVolumeSource) { s.Name = "none" }),
		`MountVolume.SetUp failed for volume "v" : volume references non-existent configmap key: z`:                                                                  cm(func(s *corev1.ConfigMapVolumeSource) { s.Items = []corev1.KeyToPath{{Key: "z", Path: "z"}} }),
		`MountVolume.SetUp failed for volume "v" : this node cannot mount volumes of type persistentVolumeClaim`:                                                     r.pod(volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}})),
		`MountVolume.SetUp failed for volume "v" : hostPath type check failed: /etc/passwd is not a directory`:                                                       r.pod(hostPath("/etc/passwd", corev1.HostPathDirectory)),
		`MountVolume.SetUp failed for volume "v" : hostPath type check failed: /nowhere/at/all is not a file`:                                                        r.pod(hostPath("/nowhere/at/all", corev1.HostPathFile)),
		`MountVolume.SetUp failed for volume "v" : medium HugePages needs requests for pages of exactly one size, the pod has 0; name the size, as in HugePages-2Mi`: r.pod(volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumHugePages}})),
		`MountVolume.SetUp failed for volume "v" : invalid path "../x": must be relative, inside the volume and not start with '..'`:                                 cm(func(s *corev1.ConfigMapVolumeSource) { s.Items = []corev1.KeyToPath{{Key: "a", Path: "../x"}} }),
	} {
		err := r.Setup(t.Context(), pod)
		var v *Error
		if err == nil || err.Error() != want || !errors.As(err, &v) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	r.setup(cm(func(s *corev1.ConfigMapVolumeSource) { s.Name, s.Optional = "none", &yes }))
}

func hostPath(path string, t corev1.HostPathType) corev1.Volume {
	return volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &t}})
}

func TestProjectedToken(t *testing.T) {
	r := newRoom(t)
	r.api.secrets["s"] = map[string][]byte{"k": []byte("hidden")}
	life, user := int64(1000), int64(1234)
	pod := r.pod(volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &life}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: named("s")}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "label"}}}}}}}))
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user}
	r.setup(pod)
	r.time = r.time.Add(799 * time.Second)
	r.setup(pod)
	if got := r.read(pod, "token") + r.read(pod, "k") + r.read(pod, "label"); got != "thiddenb" {
		t.Errorf("files are %q", got)
	}
	if !isMount(r.Path(pod, &pod.Spec.Volumes[0])) {
		t.Error("secrets are on the disk")
	}
	if at := r.Renew("u"); at.Sub(r.time) != time.Second {
		t.Errorf("renewal in %v, want at 80 %% of the token's life", at.Sub(r.time))
	}
	r.time = r.time.Add(time.Second)
	r.setup(pod)
	if r.read(pod, "token") != "tt" || r.tokens != 2 {
		t.Errorf("token is %q after %d requests", r.read(pod, "token"), r.tokens)
	}
	st, err := os.Stat(filepath.Join(r.Path(pod, &pod.Spec.Volumes[0]), "token"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("token is %v, %v", st, err)
	}
}

func TestEmptyDirAndGroup(t *testing.T) {
	r := newRoom(t)
	gid, size := int64(777), resource.MustParse("1Mi")
	pod := r.pod(volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &size}}))
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &gid}
	r.setup(pod)
	dir := r.Path(pod, &pod.Spec.Volumes[0])
	st, err := os.Stat(dir)
	if err != nil || st.Mode()&(os.ModeSetgid|0o777) != os.ModeSetgid|0o777 {
		t.Errorf("mode is %v, %v", st.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 2<<20), 0o600); err == nil {
		t.Error("the size limit does not hold")
	}
	r.setup(pod)
	if left, _ := mountsUnder(r.PodDir("u")); len(left) != 1 {
		t.Errorf("mounts are %v", left)
	}
}

func TestSubPath(t *testing.T) {
	r := newRoom(t)
	pod := r.pod(volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}))
	r.setup(pod)
	base := r.Path(pod, &pod.Spec.Volumes[0])
	for link, to := range map[string]string{"out": "/etc", "up": "../../..", "in": "inside"} {
		if err := os.Symlink(to, filepath.Join(base, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(base, "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "inside", "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"out", "out/passwd", "up", "../x", "/etc", "out/new/dir"} {
		if path, err := r.SubPath(pod, "v", base, sub, "c", 0); err == nil {
			t.Errorf("subPath %q escaped to %s", sub, path)
		}
	}
	for i, sub := range []string{"in", "in/f", "new/dir"} {
		path, err := r.SubPath(pod, "v", base, sub, "c", i)
		if err != nil || !isMount(path) {
			t.Errorf("subPath %q: %s, %v", sub, path, err)
		}
	}
	if st, err := os.Stat(filepath.Join(base, "new", "dir")); err != nil || st.Mode().Perm() != 0o777 {
		t.Errorf("a new directory in a volume with mode 0777: %v, %v", st, err)
	}
	if path, err := r.SubPath(pod, "v", base, "in/f", "c", 1); err != nil {
		t.Errorf("a second time: %s, %v", path, err)
	}
}

// TestSubPathDuringRenames: a rename anywhere on the machine makes the kernel give up on a link that goes up.
func TestSubPathDuringRenames(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(other, "0")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../b/../a/../b", filepath.Join(dir, "a", "l")); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := os.Rename(filepath.Join(other, strconv.Itoa(i%2)), filepath.Join(other, strconv.Itoa((i+1)%2))); err != nil {
				stopped <- err
				return
			}
		}
	}()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for i := range 3000 {
		f, err := openBeneath(root, "a/l")
		if err != nil {
			t.Errorf("the %d. time: %v", i, err)
			break
		}
		f.Close()
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func FuzzCheckPath(f *testing.F) {
	f.Add("a/../../b")
	f.Fuzz(func(t *testing.T, p string) {
		if checkPath(p) == nil && !filepath.IsLocal(p) {
			t.Errorf("%q leaves the volume", p)
		}
	})
}

// What an earlier Setup wrote stays while the API server does not answer, and is looked after later. What it refuses, and what was
// never there, fails.
func TestKeptWhileServerIsAway(t *testing.T) {
	r := newRoom(t)
	r.api.secrets["s"] = map[string][]byte{"k": []byte("v")}
	life := int64(3600)
	shown := corev1.Volume{Name: "shown", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}},
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &life}}}}}}
	r.setup(r.pod(shown))
	before := r.tokens

	again := New(r.root, silent{}, func(context.Context, string, string, *authv1.TokenRequest) (*authv1.TokenRequest, error) {
		return nil, errors.New("no answer")
	}, nil)
	again.now = r.now
	if err := again.Setup(t.Context(), r.pod(shown)); err != nil {
		t.Errorf("a volume that stands: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(again.Path(r.pod(), &shown), "token")); err != nil || string(got) != strings.Repeat("t", before) {
		t.Errorf("token is %q, %v", got, err)
	}
	if at := again.Renew("u"); !at.Equal(r.time.Add(keptTime)) {
		t.Errorf("tried again at %s", at)
	}
	fresh := shown
	fresh.Name = "fresh"
	if err := again.Setup(t.Context(), r.pod(shown, fresh)); err == nil || !strings.Contains(err.Error(), `"fresh"`) || strings.Contains(err.Error(), `"shown"`) {
		t.Errorf("a volume that was never made: %v", err)
	}
	delete(r.api.secrets, "s")
	if err := r.Setup(t.Context(), r.pod(shown)); !apierrors.IsNotFound(err) {
		t.Errorf("a secret that is gone: %v", err)
	}
	if at := r.Renew("u"); at.Equal(r.time.Add(keptTime)) {
		t.Error("a refusal is taken for silence")
	}
}

// silent is an API server that does not answer.
type silent struct{}

func (silent) ConfigMap(context.Context, string, string) (*corev1.ConfigMap, error) {
	return nil, errors.New("no answer")
}

func (silent) Secret(context.Context, string, string) (*corev1.Secret, error) {
	return nil, errors.New("no answer")
}
