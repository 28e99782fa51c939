package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

func TestStorageInUseIsKept(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	claims, volumes, classes, pods := client.Of(h.c, client.PersistentVolumeClaims), client.Of(h.c, client.PersistentVolumes),
		client.Of(h.c, client.VolumeAttributesClasses), client.Of(h.c, client.Pods)
	room := corev1.ResourceList{"storage": resource.MustParse("1Gi")}
	class := "fast"
	guard := func(kind string) []string { return []string{"kubernetes.io/" + kind + "-protection"} } // which admission would add

	_, err := classes.Create(ctx, &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: class, Finalizers: guard("vac")}, DriverName: "d", Parameters: map[string]string{"a": "b"}})
	h.must(err)
	_, err = claims.Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data", Finalizers: guard("pvc")},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"}, VolumeAttributesClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: room}}})
	h.must(err)
	_, err = volumes.Create(ctx, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "disk", Finalizers: guard("pv")}, Spec: corev1.PersistentVolumeSpec{Capacity: room,
		AccessModes:            []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}}})
	h.must(err)
	_, err = volumes.Patch(ctx, "", "disk", types.MergePatchType, []byte(`{"status":{"phase":"Bound"}}`), "status")
	h.must(err)
	// A finalizer, so that it stays until it is let go of by hand.
	_, err = pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "user", Finalizers: []string{"test/hold"}},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "c", Image: "a"}}, Volumes: []corev1.Volume{{Name: "v",
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}}})
	h.must(err)

	h.must(classes.Delete(ctx, "", class, metav1.DeleteOptions{}))
	h.must(claims.Delete(ctx, "default", "data", metav1.DeleteOptions{}))
	h.must(volumes.Delete(ctx, "", "disk", metav1.DeleteOptions{}))
	free, err := volumes.Create(ctx, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "free", Finalizers: guard("pv")}, Spec: corev1.PersistentVolumeSpec{Capacity: room,
		AccessModes:            []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}}})
	h.must(err)
	h.must(volumes.Delete(ctx, "", free.Name, metav1.DeleteOptions{}))
	gone := func(get func() error) func() (bool, string) {
		return func() (bool, string) { err := get(); return apierrors.IsNotFound(err), fmt.Sprint(err) }
	}
	claim := func() error { _, err := claims.Get(ctx, "default", "data"); return err }
	// The volume that nothing binds goes after those in use were asked for.
	h.until("the free volume goes", gone(func() error { _, err := volumes.Get(ctx, "", "free"); return err }))
	h.must(claim())
	_, err = classes.Get(ctx, "", class)
	h.must(err)
	_, err = volumes.Get(ctx, "", "disk")
	h.must(err)

	_, err = volumes.Patch(ctx, "", "disk", types.MergePatchType, []byte(`{"status":{"phase":"Released"}}`), "status")
	h.must(err)
	h.until("the volume goes", gone(func() error { _, err := volumes.Get(ctx, "", "disk"); return err }))
	h.must(pods.Delete(ctx, "default", "user", metav1.DeleteOptions{}))
	_, err = pods.Patch(ctx, "default", "user", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if !apierrors.IsNotFound(err) {
		h.must(err)
	}
	h.until("the claim goes", gone(claim))
	h.until("the class goes", gone(func() error { _, err := classes.Get(ctx, "", class); return err }))
}
