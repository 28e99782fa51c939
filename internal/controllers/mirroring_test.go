package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"minato.dev/minato/internal/client"
)

// Endpoints made by hand are shown as a slice that follows them and goes with them, or when the Service gets a selector.
func TestHandMadeEndpointsAreMirrored(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	door := client.Of(h.c, client.Endpoints)
	_, err := client.Of(h.c, client.Services).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "far"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "db", Port: 5432}}}})
	h.must(err)
	shows := func(want string) {
		h.Helper()
		h.until("a slice shows "+want, func() (bool, string) {
			list, _, err := client.Of(h.c, client.EndpointSlices).List(ctx, "default", metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=far"})
			h.must(err)
			got := ""
			for _, s := range list {
				for _, e := range s.Endpoints {
					got += fmt.Sprintf("%s:%d", e.Addresses[0], *s.Ports[0].Port)
				}
			}
			return got == want, got
		})
	}
	made := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "far"}, Subsets: []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: "192.0.2.1"}}, Ports: []corev1.EndpointPort{{Name: "db", Port: 5432}}}}}
	_, err = door.Create(ctx, made)
	h.must(err)
	shows("192.0.2.1:5432")
	made.Subsets[0].Addresses[0].IP = "192.0.2.2"
	_, err = door.Update(ctx, made)
	h.must(err)
	shows("192.0.2.2:5432")
	h.must(door.Delete(ctx, "default", "far", metav1.DeleteOptions{}))
	shows("")

	_, err = door.Create(ctx, made)
	h.must(err)
	shows("192.0.2.2:5432")
	_, err = client.Of(h.c, client.Services).Patch(ctx, "default", "far", types.MergePatchType, []byte(`{"spec":{"selector":{"app":"none"}}}`))
	h.must(err)
	shows("")
}
