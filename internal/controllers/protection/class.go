package protection

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

const classFinalizer = "kubernetes.io/vac-protection"

type classGuard struct {
	c       *client.Client
	classes *client.View[*storagev1.VolumeAttributesClass]
	claims  *client.View[*corev1.PersistentVolumeClaim]
	volumes *client.View[*corev1.PersistentVolume]
}

// NewClasses returns the controller of classes of volume attributes: one that a claim or a volume names, now or before its
// last change, stays.
func NewClasses(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	g := &classGuard{vs.Client(), client.ViewOf(vs, client.VolumeAttributesClasses), client.ViewOf(vs, client.PersistentVolumeClaims),
		client.ViewOf(vs, client.PersistentVolumes)}
	return control.Controller{
		Name: "vac-protection", Workers: 1,
		Sources: []control.Source{
			control.Self(g.classes),
			control.On(g.claims, func(old, _ *corev1.PersistentVolumeClaim) []control.Key { return keysOf(ofClaim(old)) }),
			control.On(g.volumes, func(old, _ *corev1.PersistentVolume) []control.Key { return keysOf(ofVolume(old)) }),
		},
		Writes:    []string{"volumeattributesclasses.storage.k8s.io:protection"},
		Reconcile: g.reconcile,
	}
}

func (g *classGuard) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	class, ok := g.classes.Get("", k.Name)
	if !ok || !guarded(class, classFinalizer) || g.used(k.Name) {
		return control.Result{}, nil
	}
	return control.Result{}, letGo(ctx, client.Of(g.c, client.VolumeAttributesClasses), class.DeepCopy(), classFinalizer)
}

func (g *classGuard) used(name string) bool {
	for _, c := range g.claims.List("", nil) {
		for _, n := range ofClaim(c) {
			if n == name {
				return true
			}
		}
	}
	for _, v := range g.volumes.List("", nil) {
		for _, n := range ofVolume(v) {
			if n == name {
				return true
			}
		}
	}
	return false
}

// ofClaim names the classes that a claim asks for, has, and is about to have.
func ofClaim(c *corev1.PersistentVolumeClaim) []string {
	if c == nil {
		return nil
	}
	names := some(c.Spec.VolumeAttributesClassName, c.Status.CurrentVolumeAttributesClassName)
	if m := c.Status.ModifyVolumeStatus; m != nil {
		names = append(names, some(&m.TargetVolumeAttributesClassName)...)
	}
	return names
}

func ofVolume(v *corev1.PersistentVolume) []string {
	if v == nil {
		return nil
	}
	return some(v.Spec.VolumeAttributesClassName)
}

func some(list ...*string) (names []string) {
	for _, s := range list {
		if s != nil && *s != "" {
			names = append(names, *s)
		}
	}
	return names
}

func keysOf(names []string) (keys []control.Key) {
	for _, n := range names {
		keys = append(keys, control.Key{Name: n})
	}
	return keys
}
