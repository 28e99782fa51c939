package apiserver

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"

	"minato.dev/minato/internal/cache"
)

// deleteCollection deletes the selected objects one by one and answers with them as they were.
func (c *call) deleteCollection() error {
	lo, err := c.listOptions()
	if err != nil {
		return err
	}
	o, err := c.deleteOptions()
	if err == nil {
		err = oneByOne(o)
	}
	if err != nil {
		return err
	}
	c.warnOrphans(o)
	sel := c.selectionOf(lo)
	p, err := c.page(lo, &sel)
	if err != nil {
		return err
	}
	for _, obj := range p.objects {
		if err := c.member(obj).deleteMember(o); err != nil {
			return err
		}
	}
	if lo.Limit == 0 { // there is no rest
		p.meta = metav1.ListMeta{ResourceVersion: p.meta.ResourceVersion}
	}
	return c.answerList(p)
}

// member is the same call for one object of the collection.
func (c *call) member(o *cache.Object) *call {
	m := *c
	info := *c.info
	info.Name, info.Namespace = o.Name, o.Namespace
	m.info = &info
	m.r = c.r.WithContext(request.WithRequestInfo(c.ctx(), &info))
	return &m
}

func (c *call) deleteMember(o *metav1.DeleteOptions) error {
	_, err := c.deleteObject(o)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
