package kubelet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/kubelet/static"
	"minato.dev/minato/internal/run"
)

// statics are the pods that come from files. Each has a picture in the API, its mirror pod, which carries its status; the
// picture's removal changes nothing, and it is drawn again.
type statics struct {
	k   *Kubelet
	dir string

	mu      sync.Mutex
	files   map[string]*corev1.Pod               // what each file wants, by its name
	running map[types.NamespacedName]types.UID   // the pod of that name that has a worker
	next    map[types.NamespacedName]*corev1.Pod // what is wanted under that name now
	mirrors map[types.NamespacedName]*corev1.Pod
	gone    map[types.NamespacedName]time.Time // when the mirror of that name was last seen to go
	found   map[types.UID]seen.Identity        // what ran when we began
}

func nameOf(p *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

// startStatics reads the files and follows their directory, which is made where it is missing.
func (k *Kubelet) startStatics(s *run.Scope, found map[types.UID]seen.Identity) error {
	k.statics = &statics{k: k, dir: k.cfg.ManifestDir, files: map[string]*corev1.Pod{}, running: map[types.NamespacedName]types.UID{},
		next: map[types.NamespacedName]*corev1.Pod{}, mirrors: map[types.NamespacedName]*corev1.Pod{},
		gone: map[types.NamespacedName]time.Time{}, found: maps.Clone(found)}
	if k.cfg.ManifestDir == "" {
		return nil
	}
	if err := os.MkdirAll(k.cfg.ManifestDir, 0o755); err != nil {
		return fmt.Errorf("directory of static pods: %w", err)
	}
	watches := make(chan struct{})
	changed := make(chan struct{}, 1)
	s.Go("static pods", func(ctx context.Context) error {
		for {
			select {
			case <-changed:
				k.statics.read()
			case <-ctx.Done():
				return nil
			}
		}
	})
	s.Go("watch of static pods", func(ctx context.Context) error {
		return static.Watch(ctx, k.cfg.ManifestDir, func() { close(watches) }, func() {
			select {
			case changed <- struct{}{}:
			default: // one more reading is due already
			}
		})
	})
	select {
	case <-watches:
	case <-s.Context().Done():
		return s.Context().Err()
	}
	k.statics.read()
	return nil
}

// read brings the wanted pods up to date with the files. A file that cannot be understood says so and leaves its pod as
// it is.
func (st *statics) read() {
	files, err := static.Read(st.dir, st.k.cfg.NodeName)
	if err != nil {
		st.k.cfg.Log.Warn("static pods not read", "dir", st.dir, "err", err)
		return
	}
	st.mu.Lock()
	for name := range st.files {
		if _, ok := files[name]; !ok {
			delete(st.files, name)
		}
	}
	for name, f := range files {
		if f.Err != nil {
			st.k.cfg.Log.Warn("static pod refused", "file", name, "err", f.Err)
			st.k.rec.EventOn(st.k.nodeRef(), corev1.EventTypeWarning, "InvalidStaticPod", "%s in %s: %v", name, st.dir, f.Err)
			continue
		}
		st.files[name] = f.Pod
	}
	next := map[types.NamespacedName]*corev1.Pod{}
	for _, p := range st.files {
		next[nameOf(p)] = p
	}
	st.next = next
	st.mu.Unlock()
	st.settle()
}

// settle starts what is wanted and ends what is not. A pod that takes the place of another begins when that is gone.
func (st *statics) settle() {
	st.mu.Lock()
	var begin []*corev1.Pod
	var end []types.UID
	for name, uid := range st.running {
		if p := st.next[name]; p == nil || p.UID != uid {
			end = append(end, uid)
		}
	}
	for name, p := range st.next {
		if _, busy := st.running[name]; !busy {
			st.running[name] = p.UID
			begin = append(begin, p)
		}
	}
	st.mu.Unlock()
	for _, uid := range end {
		if w := st.k.worker(uid); w != nil {
			w.note(func() { w.gone = true })
		}
	}
	for _, p := range begin {
		_, adopt := st.found[p.UID]
		st.k.add(st.withStatus(p), false, adopt)
	}
}

// withStatus is the pod of the file with the status that its mirror carries.
func (st *statics) withStatus(p *corev1.Pod) *corev1.Pod {
	st.mu.Lock()
	m := st.mirrors[nameOf(p)]
	st.mu.Unlock()
	p = p.DeepCopy()
	if m == nil || m.Annotations[static.Mirror] != string(p.UID) {
		return p
	}
	p.Status, p.ResourceVersion, p.CreationTimestamp, p.Generation = *m.Status.DeepCopy(), m.ResourceVersion, m.CreationTimestamp, m.Generation
	return p
}

// ended takes note that a static pod's worker is over: another may take its name, or nobody, and then its mirror goes.
func (st *statics) ended(p *corev1.Pod) {
	st.mu.Lock()
	if st.running[nameOf(p)] == p.UID {
		delete(st.running, nameOf(p))
	}
	delete(st.found, p.UID)
	st.mu.Unlock()
	st.settle()
	st.dropMirror(nameOf(p))
}

// mirrored takes in what is heard of a mirror pod, from the watch and from our own writes: gone says that it does not
// exist any more. What is older than what is known changes nothing.
func (st *statics) mirrored(m *corev1.Pod, gone bool) {
	name := nameOf(m)
	st.mu.Lock()
	have := st.mirrors[name]
	switch {
	case have != nil && gone && have.UID != m.UID, have != nil && !newer(m, have):
		st.mu.Unlock()
		return
	case gone:
		delete(st.mirrors, name)
		st.gone[name] = time.Now()
	default:
		st.mirrors[name] = m
	}
	uid, mine := st.running[name]
	p := st.next[name]
	if !mine {
		delete(st.gone, name)
	}
	st.mu.Unlock()
	if !mine {
		st.dropMirror(name)
		return
	}
	if w := st.k.worker(uid); w != nil && p != nil && p.UID == uid {
		w.heard(st.withStatus(p))
	}
}

// mirror is the mirror pod that shows this static pod, nil where there is none or it is another's.
func (st *statics) mirror(p *corev1.Pod) *corev1.Pod {
	st.mu.Lock()
	defer st.mu.Unlock()
	m := st.mirrors[nameOf(p)]
	if m == nil || m.DeletionTimestamp != nil || m.Annotations[static.Mirror] != string(p.UID) {
		return nil
	}
	return m
}

// dropMirror removes the mirror of a name that no static pod has.
func (st *statics) dropMirror(name types.NamespacedName) {
	st.mu.Lock()
	m, used := st.mirrors[name], st.next[name] != nil
	st.mu.Unlock()
	if m == nil || used || st.k.scope == nil {
		return
	}
	st.k.scope.Go("remove mirror pod", func(ctx context.Context) error {
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Minute) {
			err := st.remove(ctx, m)
			if err == nil || ctx.Err() != nil {
				return nil
			}
			st.k.cfg.Log.Debug("mirror pod not removed, will try again", "pod", name.String(), "err", err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	})
}

func (st *statics) remove(ctx context.Context, m *corev1.Pod) error {
	zero := int64(0)
	err := client.Of(st.k.c, client.Pods).Delete(ctx, m.Namespace, m.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &m.UID}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// mirrorPause is how long a deleted mirror stays away. A client that waits for its deletion by name, as kubectl delete does,
// would otherwise find the next one in its place, and wait for ever.
const mirrorPause = time.Second

// went takes note that a mirror has been removed by our own hand, which the watch may not have told yet. Only where somebody
// else wanted it away does anybody wait for that.
func (st *statics) went(m *corev1.Pod) {
	if m.DeletionTimestamp == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if _, known := st.gone[nameOf(m)]; !known {
		st.gone[nameOf(m)] = time.Now()
	}
}

// rest waits until a mirror of that name has been away for long enough.
func (st *statics) rest(ctx context.Context, name types.NamespacedName) error {
	st.mu.Lock()
	went, known := st.gone[name]
	delete(st.gone, name)
	st.mu.Unlock()
	if !known {
		return nil
	}
	select {
	case <-time.After(time.Until(went.Add(mirrorPause))):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// draw makes the mirror of a static pod, in the place of one that shows something else.
func (st *statics) draw(ctx context.Context, p *corev1.Pod) (*corev1.Pod, error) {
	st.mu.Lock()
	old := st.mirrors[nameOf(p)]
	st.mu.Unlock()
	if old != nil {
		if err := st.remove(ctx, old); err != nil {
			return nil, err
		}
		st.went(old)
	}
	if err := st.rest(ctx, nameOf(p)); err != nil {
		return nil, err
	}
	node := st.k.shown.Load()
	if node == nil || node.UID == "" {
		return nil, errors.New("the node is not registered yet")
	}
	yes := true
	m := p.DeepCopy()
	m.ObjectMeta = metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Labels: p.Labels, Annotations: map[string]string{},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: &yes}}}
	for key, v := range p.Annotations {
		m.Annotations[key] = v
	}
	m.Annotations[static.Mirror] = string(p.UID)
	pods := client.Of(st.k.c, client.Pods)
	got, err := pods.Create(ctx, m)
	if apierrors.IsAlreadyExists(err) {
		if got, err = pods.Get(ctx, p.Namespace, p.Name); err == nil && !isMirror(got) {
			err = errors.New("a pod of that name exists that is not its mirror")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("mirror of static pod %s: %w", nameOf(p), err)
	}
	return got, nil
}
