package authz

import (
	"slices"
	"sync"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// graph knows which objects belong to which node:
//
//	node <- pod <- secret, configmap, serviceaccount, resourceclaim, pvc
//	               pvc <- pv <- secret
//	node <- volumeattachment, resourceslice, podcertificaterequest
//
// Every edge from a pod's things to a node is counted, so that a question is one look-up; only persistent volumes take a
// step more.
type graph struct {
	mu      sync.RWMutex
	pods    map[podName]placed // what each pod on a node refers to
	lately  []thing            // the references of the last pod; the next one of the same template shares them
	reaches map[reach]int      // how many things tie the object to the node
	volumes map[string]volume
	secrets map[thing]map[string]bool // volumes that use a secret
}

// thing is one object. Its resource is that of the request.
type thing struct{ resource, namespace, name string }

type podName struct{ namespace, name string }

type reach struct {
	node string
	thing
}

type placed struct {
	node string
	refs []thing
}

type volume struct {
	claim   thing
	secrets []thing
}

func newGraph() *graph {
	return &graph{pods: map[podName]placed{}, reaches: map[reach]int{}, volumes: map[string]volume{}, secrets: map[thing]map[string]bool{}}
}

// has says whether t belongs to node.
func (g *graph) has(node string, t thing) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.reaches[reach{node, t}] > 0 {
		return true
	}
	switch t.resource {
	case "pods":
		p, ok := g.pods[podName{t.namespace, t.name}]
		return ok && p.node == node
	case "persistentvolumes":
		v, ok := g.volumes[t.name]
		return ok && g.reaches[reach{node, v.claim}] > 0
	case "secrets":
		for name := range g.secrets[t] {
			if g.reaches[reach{node, g.volumes[name].claim}] > 0 {
				return true
			}
		}
	}
	return false
}

// observe applies one change.
func (g *graph) observe(old, new runtime.Object) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if o, ok := old.(*corev1.Pod); ok {
		if n, ok := new.(*corev1.Pod); ok && sameRefs(o, n) {
			return
		}
	}
	if old != nil {
		g.change(old, false)
	}
	if new != nil {
		g.change(new, true)
	}
}

func (g *graph) change(o runtime.Object, add bool) {
	switch o := o.(type) {
	case *corev1.Pod:
		g.pod(o, add)
	case *corev1.PersistentVolume:
		g.volume(o, add)
	case *storagev1.VolumeAttachment:
		g.count(o.Spec.NodeName, thing{"volumeattachments", "", o.Name}, add)
	case *resourcev1.ResourceSlice:
		if o.Spec.NodeName != nil {
			g.count(*o.Spec.NodeName, thing{"resourceslices", "", o.Name}, add)
		}
	case *certificatesv1.PodCertificateRequest:
		g.count(string(o.Spec.NodeName), thing{"podcertificaterequests", o.Namespace, o.Name}, add)
	}
}

func (g *graph) count(node string, t thing, add bool) {
	k := reach{node, t}
	if add {
		g.reaches[k]++
		return
	}
	if g.reaches[k]--; g.reaches[k] <= 0 {
		delete(g.reaches, k)
	}
}

func (g *graph) pod(p *corev1.Pod, add bool) {
	key := podName{p.Namespace, p.Name}
	if was, ok := g.pods[key]; ok {
		delete(g.pods, key)
		for _, t := range was.refs {
			g.count(was.node, t, false)
		}
	}
	if !add || p.Spec.NodeName == "" {
		return
	}
	now := placed{p.Spec.NodeName, podRefs(p)}
	if slices.Equal(now.refs, g.lately) {
		now.refs = g.lately
	}
	g.lately = now.refs
	g.pods[key] = now
	for _, t := range now.refs {
		g.count(now.node, t, true)
	}
}

func (g *graph) volume(v *corev1.PersistentVolume, add bool) {
	if was, ok := g.volumes[v.Name]; ok {
		delete(g.volumes, v.Name)
		for _, s := range was.secrets {
			delete(g.secrets[s], v.Name)
			if len(g.secrets[s]) == 0 {
				delete(g.secrets, s)
			}
		}
	}
	if !add || v.Spec.ClaimRef == nil {
		return
	}
	now := volume{thing{"persistentvolumeclaims", v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name}, volumeSecrets(v)}
	g.volumes[v.Name] = now
	for _, s := range now.secrets {
		if g.secrets[s] == nil {
			g.secrets[s] = map[string]bool{}
		}
		g.secrets[s][v.Name] = true
	}
}
