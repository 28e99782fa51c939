package kubelet

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/kubelet/decide"
	"minato.dev/minato/internal/kubelet/known"
	"minato.dev/minato/internal/kubelet/seen"
	"minato.dev/minato/internal/run"
)

// A node that starts while its server is away goes on from what it remembers:
//
//	start -> remembered and static pods live -> the server answers -> what it says counts, ghosts end (settled)
//
// Until then nothing is written to the API, and nothing is ended for not being known.
const rememberVerb decide.Verb = "remember"

// resumePods gives workers to the pods that are remembered, then to static ones. Neither needs the server.
func (k *Kubelet) resumePods(s *run.Scope, found map[types.UID]seen.Identity) error {
	k.services = map[types.UID][]*corev1.Service{}
	var again []known.Record
	if k.cfg.Remember {
		all, err := known.All(filepath.Join(k.cfg.RootDir, "pods"))
		if err != nil {
			k.cfg.Log.Warn("some pods are not remembered, they wait for the server", "err", err)
		}
		again = all
	}
	for _, r := range again {
		if why := r.Waits(k.machine.BootID); why != "" {
			k.cfg.Log.Info("a pod waits for the server", "pod", r.Pod.Namespace+"/"+r.Pod.Name, "why", why)
			continue
		}
		k.services[r.Pod.UID] = r.Services
		k.resumed = append(k.resumed, r.Pod)
	}
	for _, pod := range k.resumed {
		k.add(pod, false, true)
	}
	return k.startStatics(s, found)
}

// dropResumed lets go of remembered pods that the server does not know any more.
func (k *Kubelet) dropResumed() {
	for _, pod := range k.resumed {
		if now, ok := k.pods.Get(pod.Namespace, pod.Name); ok && now.UID == pod.UID {
			continue
		}
		if w := k.worker(pod.UID); w != nil {
			w.note(func() { w.gone = true })
		}
	}
	k.resumed = nil
}

// servicesOf are those that the environment of the pod's containers may name. Before the server has told them they are what
// was remembered; static pods do without.
func (k *Kubelet) servicesOf(pod *corev1.Pod) []*corev1.Service {
	if !k.settled.Load() {
		return k.services[pod.UID]
	}
	list := k.servicesView.List(pod.Namespace, nil)
	if pod.Namespace != corev1.NamespaceDefault {
		if s, ok := k.servicesView.Get(corev1.NamespaceDefault, "kubernetes"); ok {
			list = append(list, s)
		}
	}
	return list
}

// remember writes what a start without the server needs of the pod, where that has changed.
func (w *worker) remember(now time.Time) {
	op := decide.Op{Verb: rememberVerb}
	if !w.k.cfg.Remember || w.static || !w.mounted || !w.k.settled.Load() || w.busy[op.Key()] != nil || sameToUs(w.remembered, w.raw) ||
		w.hold[op.Key()].until.After(now) {
		return
	}
	r := known.Record{Pod: w.raw, Boot: w.k.machine.BootID}
	for _, s := range w.k.servicesOf(w.raw) {
		short := &corev1.Service{Spec: s.Spec}
		short.Namespace, short.Name = s.Namespace, s.Name
		r.Services = append(r.Services, short)
	}
	dir := w.k.mounter.PodDir(w.uid)
	w.background(op, func(context.Context) result {
		err := r.Write(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // the pod is over
		}
		return result{err: err, pod: r.Pod}
	})
}

// finishRemember takes the outcome in.
func (w *worker) finishRemember(r result) {
	if r.err != nil {
		w.hold.failed(r.op.Key(), time.Now(), time.Second, time.Minute)
		w.log.Warn("the pod is not remembered, will try again", "err", r.err)
		return
	}
	delete(w.hold, r.op.Key())
	w.remembered = r.pod
}

// sameToUs says that a start without the server would do the same with both.
func sameToUs(a, b *corev1.Pod) bool {
	return a != nil && a.Generation == b.Generation && a.DeletionTimestamp.Equal(b.DeletionTimestamp) && terminal(a) == terminal(b) &&
		sameMap(a.Labels, b.Labels) && sameMap(a.Annotations, b.Annotations)
}
