package deployment

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
)

// errCollision says that the new ReplicaSet's name is another's; the collision count was raised and wakes us again.
var errCollision = errors.New("name collision of a ReplicaSet")

// act carries the plan out. Writes carry the resource version that the plan was made on, so that a stale plan is refused.
func (d *controller) act(ctx context.Context, dep *appsv1.Deployment, p plan) error {
	door := client.Of(d.c, client.ReplicaSets)
	newest := ""
	if p.create != nil {
		rs, err := door.Create(ctx, p.create)
		if apierrors.IsAlreadyExists(err) {
			return d.collide(ctx, dep, p.create)
		}
		if err != nil {
			d.events.Event(dep, corev1.EventTypeWarning, reasonCreateFailed, "Failed to create new replica set %q: %v", p.create.Name, err)
			return fmt.Errorf("create ReplicaSet %s: %w", p.create.Name, err)
		}
		newest = rs.ResourceVersion
		if n := *rs.Spec.Replicas; n > 0 {
			d.events.Event(dep, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled up replica set %s from 0 to %d", rs.Name, n)
		}
	}
	for was, rs := range p.update {
		written, err := door.Update(ctx, rs)
		if err != nil {
			return fmt.Errorf("update ReplicaSet %s: %w", rs.Name, err)
		}
		newest = later(newest, written.ResourceVersion)
		if from, to := *was.Spec.Replicas, *rs.Spec.Replicas; from != to {
			way := "up"
			if to < from {
				way = "down"
			}
			d.events.Event(dep, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled %s replica set %s from %d to %d", way, rs.Name, from, to)
		}
	}
	for _, rs := range p.remove {
		if err := door.Delete(ctx, rs.Namespace, rs.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete ReplicaSet %s: %w", rs.Name, err)
		}
	}
	if newest != "" {
		if err := d.sets.WaitFor(ctx, newest); err != nil {
			return err
		}
	}
	return d.note(ctx, dep, p.revision)
}

// note writes the revision on the Deployment, for kubectl rollout history. The controller's role may update, not patch.
func (d *controller) note(ctx context.Context, dep *appsv1.Deployment, revision string) error {
	if revision == "" || dep.Annotations[revisionAnnotation] == revision {
		return nil
	}
	changed := dep.DeepCopy()
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	changed.Annotations[revisionAnnotation] = revision
	written, err := client.Of(d.c, client.Deployments).Update(ctx, changed)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note revision %s: %w", revision, err)
	}
	return d.deployments.WaitFor(ctx, written.ResourceVersion)
}

// collide handles a ReplicaSet of the wanted name: ours already (a stale view), or another's (raise the count).
func (d *controller) collide(ctx context.Context, dep *appsv1.Deployment, want *appsv1.ReplicaSet) error {
	have, err := client.Of(d.c, client.ReplicaSets).Get(ctx, want.Namespace, want.Name)
	if err != nil {
		return fmt.Errorf("read ReplicaSet %s: %w", want.Name, err)
	}
	if ref := metav1.GetControllerOf(have); ref != nil && ref.UID == dep.UID && sameTemplate(have, dep) {
		return d.sets.WaitFor(ctx, have.ResourceVersion)
	}
	changed := dep.DeepCopy()
	count := int32(1)
	if c := dep.Status.CollisionCount; c != nil {
		count = *c + 1
	}
	changed.Status.CollisionCount = &count
	if _, err := client.Of(d.c, client.Deployments).UpdateStatus(ctx, changed); err != nil {
		return fmt.Errorf("raise collision count: %w", err)
	}
	return errCollision
}

func later(a, b string) string {
	if len(b) > len(a) || len(b) == len(a) && b > a {
		return b
	}
	return a
}
