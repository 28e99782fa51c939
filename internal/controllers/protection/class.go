package protection

import (
	"context"
	"log/slog"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

const classFinalizer = "kubernetes.io/vac-protection"

type classGuard struct {
	c       *client.Client
	classes *client.View[*storagev1.VolumeAttributesClass]
}

// NewClasses returns the controller of classes of volume attributes: one that a claim or a volume names, now or before its
// last change, stays.
func NewClasses(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	g := &classGuard{vs.Client(), client.ViewOf(vs, client.VolumeAttributesClasses)}
	return control.Controller{
		Name: "vac-protection", Workers: 1,
		Sources: []control.Source{
			control.Self(g.classes),
			control.On(client.ViewOf(vs, client.PersistentVolumeClaims), func(old, _ *corev1.PersistentVolumeClaim) []control.Key { return keysOf(ofClaim(old)) }),
			control.On(client.ViewOf(vs, client.PersistentVolumes), func(old, _ *corev1.PersistentVolume) []control.Key { return keysOf(ofVolume(old)) }),
		},
		Writes:    []string{"volumeattributesclasses.storage.k8s.io:protection"},
		Reconcile: g.reconcile,
	}
}

func (g *classGuard) reconcile(ctx context.Context, k control.Key) (control.Result, error) {
	class, ok := g.classes.Get("", k.Name)
	if !ok || !guarded(class, classFinalizer) {
		return control.Result{}, nil
	}
	if used, err := g.used(ctx, k.Name); err != nil || used {
		return control.Result{}, err
	}
	return control.Result{}, letGo(ctx, client.Of(g.c, client.VolumeAttributesClasses), class.DeepCopy(), classFinalizer)
}

// used asks for the newest claims and volumes, not a mirror of them: one may have named the class a moment before it was
// deleted.
func (g *classGuard) used(ctx context.Context, name string) (bool, error) {
	claims, _, err := client.Of(g.c, client.PersistentVolumeClaims).List(ctx, "", metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	volumes, _, err := client.Of(g.c, client.PersistentVolumes).List(ctx, "", metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(claims, func(c *corev1.PersistentVolumeClaim) bool { return slices.Contains(ofClaim(c), name) }) ||
		slices.ContainsFunc(volumes, func(v *corev1.PersistentVolume) bool { return slices.Contains(ofVolume(v), name) }), nil
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
