package apiserver

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/negotiate"
)

// components answers the deprecated ComponentStatus with what the server itself can see: its store.
func (c *call) components() error {
	c.warn.add("v1 ComponentStatus is deprecated in v1.19+")
	etcd := corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: "etcd-0"},
		Conditions: []corev1.ComponentCondition{{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}}}
	if _, err := c.s.store.Revision(c.ctx()); err != nil {
		etcd.Conditions[0].Status, etcd.Conditions[0].Message, etcd.Conditions[0].Error = corev1.ConditionFalse, "", err.Error()
	}
	if c.info.Name != "" && c.info.Name != etcd.Name {
		return apierrors.NewNotFound(c.gr(), c.info.Name)
	}
	if c.out.Shape == negotiate.Table {
		return c.componentTable(&etcd)
	}
	c.out.Shape = negotiate.Whole // there is no metadata worth a shape of its own
	if c.info.Name == "" {
		return c.reply(http.StatusOK, &corev1.ComponentStatusList{Items: []corev1.ComponentStatus{etcd}}, c.res.GroupVersion.WithKind(c.res.ListKind))
	}
	return c.reply(http.StatusOK, &etcd, c.res.GVK())
}

func (c *call) componentTable(etcd *corev1.ComponentStatus) error {
	cells, err := c.res.cells(etcd, c.s.cfg.Now())
	if err != nil {
		return err
	}
	t := &metav1.Table{ColumnDefinitions: c.res.columns(), Rows: []metav1.TableRow{{Cells: cells}}}
	t.Rows[0].Object.Object = &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/" + c.out.Version, Kind: string(negotiate.Metadata)},
		ObjectMeta: etcd.ObjectMeta}
	return c.reply(http.StatusOK, t, metaKind(c.out, string(negotiate.Table)))
}
