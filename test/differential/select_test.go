package differential

import (
	"fmt"
	"net/http"
	"net/url"
)

// selectable are all fields that any kind of upstream's selects by.
var selectable = []string{"metadata.name", "metadata.namespace", "name", "spec.nodeName", "spec.host", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
	"status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName", "spec.unschedulable", "status.replicas", "status.successful", "type", "reason", "reportingComponent", "source",
	"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
	"spec.clusterIP", "spec.type", "spec.signerName", "spec.podName", "spec.driver", "spec.pool.name", "spec.leaseName", "spec.parentRef.name", "status.conditions"}

// selects asks each kind for objects by every field, with the value that the object has and with another, and watches and
// deletes them by it.
func selects(p *Pair, seeds []Seed) {
	for i, s := range seeds {
		ns := fmt.Sprintf("select-%d", i)
		p.Set("ns", ns)
		if s.Kind.Namespaced {
			p.namespace(ns)
		}
		p.selects(s, ns)
	}
}

func (p *Pair) selects(s Seed, ns string) {
	p.t.Helper()
	st := &story{Pair: p, Seed: s, step: "select/" + s.Kind.ID() + "/", list: s.Kind.List(ns), one: s.Kind.List(ns) + "/" + s.Name()}
	st.ask("create", http.MethodPost, st.list, s.Body(s.Name()), "")
	st.settle()
	if s.Status != nil && !restless[s.Kind.Resource] {
		st.ask("status", http.MethodPatch, st.one+"/status", text(map[string]any{"status": s.Status}), mergeType)
	}
	have, _ := st.ask("get", http.MethodGet, st.one, "", "")
	known := "" // what tells this object from the servers' own
	if !s.Kind.Namespaced {
		known = ",metadata.name=" + s.Name()
	}
	for _, field := range selectable {
		st.selectBy(field, lookup(have.Body, field), known)
	}
	st.ask("delete by field", http.MethodDelete, st.list+"?gracePeriodSeconds=0&fieldSelector=metadata.name%3D"+s.Name(), "", "")
	st.ask("let go", http.MethodPatch, st.one, `{"metadata":{"finalizers":null}}`, mergeType)
}

// selectBy stops at the first refusal: the kind does not know the field.
func (s *story) selectBy(field string, has any, known string) {
	s.t.Helper()
	values := []string{"nosuch", "", "false", "true", "0"}
	if has != nil && field != "spec.clusterIP" {
		values = append(values, fmt.Sprint(has))
	}
	for _, v := range values {
		for _, op := range []string{"=", "!=", "=="} {
			q := url.QueryEscape(field + op + v + known)
			if a, _ := s.Ask(s.step+"list "+field+op+v, Request{Method: http.MethodGet, Path: s.list + "?fieldSelector=" + q, Accept: partialList}); a.Code != http.StatusOK {
				return
			}
			s.ask("dry delete "+field+op+v, http.MethodDelete, s.list+"?dryRun=All&fieldSelector="+q, "", "")
		}
		s.Ask(s.step+"list two "+field+v, Request{Method: http.MethodGet, Path: s.list + "?fieldSelector=" + url.QueryEscape(field+"="+v+","+field+"!=other"+known), Accept: partialList})
	}
}
