// Package nodettl tells the nodes, in an annotation, how long they may keep a Secret or ConfigMap before they ask for it
// again: the longer, the more nodes there are, which takes load off the API server of a large cluster.
package nodettl

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

// A step says what holds as long as there are from few to many nodes, in seconds. The steps overlap, so that a cluster
// whose size sways about a bound does not write to all its nodes each time.
type step struct{ few, many, seconds int }

// steps are upstream's (pkg/controller/ttl).
var steps = []step{{0, 100, 0}, {90, 500, 15}, {450, 1000, 30}, {900, 2000, 60}, {1800, 10000, 300}, {9000, 1 << 30, 600}}

// stepFor returns the step for so many nodes, coming from step at.
func stepFor(nodes, at int) int {
	for at < len(steps)-1 && nodes > steps[at].many {
		at++
	}
	for at > 0 && nodes < steps[at].few {
		at--
	}
	return at
}

// New returns the controller.
func New(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	c, nodes := vs.Client(), client.ViewOf(vs, client.Nodes)
	var at atomic.Int32
	return control.Controller{
		Name: "ttl",
		Sources: []control.Source{control.On(nodes, func(old, node *corev1.Node) []control.Key {
			if old == nil || node == nil { // there are more or fewer now
				all := nodes.List("", nil)
				if now := stepFor(len(all), int(at.Load())); int(at.Swap(int32(now))) != now {
					return keys(all)
				}
			}
			if node == nil || old != nil && old.Annotations[corev1.ObjectTTLAnnotationKey] == node.Annotations[corev1.ObjectTTLAnnotationKey] {
				return nil
			}
			return []control.Key{{Name: node.Name}}
		})},
		Writes: []string{"nodes:ttl"},
		Reconcile: func(ctx context.Context, k control.Key) (control.Result, error) {
			node, ok := nodes.Get("", k.Name)
			want := strconv.Itoa(steps[at.Load()].seconds)
			if !ok || node.DeletionTimestamp != nil || node.Annotations[corev1.ObjectTTLAnnotationKey] == want {
				return control.Result{}, nil
			}
			_, err := client.Of(c, client.Nodes).Patch(ctx, "", k.Name, types.MergePatchType,
				fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, corev1.ObjectTTLAnnotationKey, want))
			if apierrors.IsNotFound(err) {
				err = nil
			}
			return control.Result{}, err
		},
	}
}

func keys(nodes []*corev1.Node) (list []control.Key) {
	for _, n := range nodes {
		list = append(list, control.Key{Name: n.Name})
	}
	return list
}
