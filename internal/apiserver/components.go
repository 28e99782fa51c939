package apiserver

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// components answers the deprecated ComponentStatus with what the server itself can see: its store.
func (c *call) components() error {
	c.warn.add("v1 ComponentStatus is deprecated in v1.19+")
	etcd := corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: "etcd-0"},
		Conditions: []corev1.ComponentCondition{{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}}}
	if _, err := c.s.store.Revision(c.ctx()); err != nil {
		etcd.Conditions[0].Status, etcd.Conditions[0].Message, etcd.Conditions[0].Error = corev1.ConditionFalse, "", err.Error()
	}
	// The kind has no columns worth a Table of its own; clients that prefer one also take the object.
	c.out.Shape = ""
	if c.info.Name == "" {
		return c.reply(http.StatusOK, &corev1.ComponentStatusList{Items: []corev1.ComponentStatus{etcd}}, c.res.GroupVersion.WithKind(c.res.ListKind))
	}
	if c.info.Name != etcd.Name {
		return apierrors.NewNotFound(c.gr(), c.info.Name)
	}
	return c.reply(http.StatusOK, &etcd, c.res.GVK())
}
