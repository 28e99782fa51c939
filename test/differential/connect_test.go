package differential

import (
	"net/http"
	"strings"
)

// connects is what becomes of requests that are for somebody behind the server: whom they name wrongly, and whom nothing leads to.
func connects(p *Pair) {
	p.namespace("connects")
	p.tell("connect", "connects", []do{
		{"node", "POST", "/api/v1/nodes", `{"metadata":{"name":"connect-node"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}}}}`, "", "", nil},
		{"node without address", "POST", "/api/v1/nodes", `{"metadata":{"name":"connect-none"}}`, "", "", nil},
		{"pod", "POST", "$NS/pods", onePod, "", "", nil},
		{"two containers", "POST", "$NS/pods", `{"metadata":{"name":"two"},"spec":{"nodeName":"connect-node","initContainers":[{"name":"i","image":"x"}],"containers":[{"name":"a","image":"x","ports":[{"containerPort":81}]},{"name":"b","image":"x"}]}}`, "", "", nil},
		{"lost", "POST", "$NS/pods", `{"metadata":{"name":"lost"},"spec":{"nodeName":"nowhere","containers":[{"name":"a","image":"x"}]}}`, "", "", nil},
		{"far", "POST", "$NS/pods", `{"metadata":{"name":"far"},"spec":{"nodeName":"connect-none","containers":[{"name":"a","image":"x"}]}}`, "", "", nil},
		{"address", "PATCH", "$NS/pods/two/status", `{"status":{"podIP":"192.0.2.2","podIPs":[{"ip":"192.0.2.2"}]}}`, mergeType, "", nil},
		{"loopback", "PATCH", "$NS/pods/lost/status", `{"status":{"podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}]}}`, mergeType, "", nil},
		{"service", "POST", "$NS/services", `{"metadata":{"name":"svc"},"spec":{"selector":{"a":"b"},"ports":[{"name":"web","port":80,"targetPort":81},{"name":"more","port":90}]}}`, "", "", nil},
		{"slice", "POST", "/apis/discovery.k8s.io/v1/namespaces/connects/endpointslices", `{"metadata":{"name":"svc-1","labels":{"kubernetes.io/service-name":"svc"}},"addressType":"IPv4","ports":[{"name":"web","port":81}],"endpoints":[{"addresses":["192.0.2.2"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"two","namespace":"connects"}}]}`, "", "", nil},
	})
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, "TRACE", "ODD"} {
		for _, path := range []string{"$NS/pods/two/proxy/x", "$NS/pods/two:81/proxy/x", "$NS/pods/p1/proxy", "$NS/services/svc/proxy/x", "/api/v1/nodes/connect-node/proxy/x"} {
			p.AskFrail("connect/"+m+" "+path, Request{Method: m, Path: connected(path)})
		}
	}
	for _, path := range []string{
		"$NS/pods/two/proxy", "$NS/pods/two/proxy/", "$NS/pods/two/proxy?path=x", "$NS/pods/two:odd/proxy/", "$NS/pods/http:two:81/proxy/", "$NS/pods/https:two:81/proxy/", "$NS/pods/ftp:two:81/proxy/", "$NS/pods/two:99999/proxy/", "$NS/pods/a:b:c:d/proxy/", "$NS/pods/lost/proxy/", "$NS/pods/nobody/proxy/", "$NS/pods/p1/proxy/",
		"$NS/services/svc/proxy/", "$NS/services/svc:80/proxy/", "$NS/services/svc:web/proxy/", "$NS/services/svc:more/proxy/", "$NS/services/svc:90/proxy/", "$NS/services/svc:7/proxy/", "$NS/services/https:svc:80/proxy/", "$NS/services/odd:svc:80/proxy/", "$NS/services/svc:odd/proxy/", "$NS/services/nobody/proxy/", "$NS/services/nobody:80/proxy/",
		"/api/v1/nodes/connect-node/proxy/", "/api/v1/nodes/connect-node:81/proxy/", "/api/v1/nodes/https:connect-node:10250/proxy/", "/api/v1/nodes/odd:connect-node:1/proxy/", "/api/v1/nodes/connect-none/proxy/", "/api/v1/nodes/nobody/proxy/", "/api/v1/nodes/connect-node/proxy?dryRun=All",
		"/api/v1/proxy/nodes/connect-node", "/api/v1/proxy/namespaces/connects/pods/two", "/api/v1/proxy/namespaces/connects/services/svc",
		"$NS/pods/two/log", "$NS/pods/two/log?container=a", "$NS/pods/two/log?container=i", "$NS/pods/two/log?container=none", "$NS/pods/lost/log", "$NS/pods/far/log", "$NS/pods/lost/log?follow=x", "$NS/pods/lost/log?sinceSeconds=0", "$NS/pods/lost/log?sinceTime=x", "$NS/pods/lost/log?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", "$NS/pods/lost/log?limitBytes=0", "$NS/pods/lost/log?stream=Odd", "$NS/pods/lost/log?stream=Stdout&tailLines=1", "$NS/pods/p1/log?previous=true",
		"$NS/pods/two/exec", "$NS/pods/two/exec?command=x", "$NS/pods/two/exec?command=x&container=none", "$NS/pods/two/exec?stdout=true&container=a", "$NS/pods/lost/exec?command=x&stdout=1", "$NS/pods/p1/exec?command=x&stdout=1&dryRun=All", "$NS/pods/nobody/exec?command=x&stdout=1", "$NS/pods/two/exec?tty=odd",
		"$NS/pods/two/attach", "$NS/pods/two/attach?stdout=1", "$NS/pods/two/attach?stdout=1&container=none", "$NS/pods/lost/attach?stdout=1", "$NS/pods/p1/attach?stdin=1", "$NS/pods/two/portforward", "$NS/pods/lost/portforward", "$NS/pods/p1/portforward?ports=80", "$NS/pods/nobody/portforward", "$NS/pods/p1/portforward?ports=odd",
	} {
		p.AskFrail("connect/get "+path, Request{Method: http.MethodGet, Path: connected(path)})
		p.AskFrail("connect/post "+path, Request{Method: http.MethodPost, Path: connected(path)})
	}
	p.tell("connect", "connects", []do{
		{"jane execs", "GET", "$NS/pods/p1/exec?command=x", "", "", "jane", nil}, {"jane proxies", "GET", "$NS/pods/p1/proxy/", "", "", "jane", nil}, {"jane reads logs", "GET", "$NS/pods/p1/log", "", "", "jane", nil},
		{"log as json", "GET", "$NS/pods/p1/log", "", "application/json", "", nil}, {"log deleted", "DELETE", "$NS/pods/p1/log", "", "", "", nil}, {"exec deleted", "DELETE", "$NS/pods/p1/exec", "", "", "", nil},
		{"finalize of nobody", "PUT", "/api/v1/namespaces/nobody/finalize", `{"metadata":{"name":"nobody"},"spec":{}}`, "", "", nil}, {"finalize dry", "PUT", "/api/v1/namespaces/connects/finalize?dryRun=All", `{"metadata":{"name":"connects"},"spec":{"finalizers":["a.example/b"]}}`, "", "", nil},
		{"finalize odd", "PUT", "/api/v1/namespaces/connects/finalize?dryRun=All", `{"metadata":{"name":"connects"},"spec":{"finalizers":["odd"]}}`, "", "", nil}, {"finalize other", "PUT", "/api/v1/namespaces/connects/finalize", `{"metadata":{"name":"other"},"spec":{}}`, "", "", nil}, {"finalize got", "GET", "/api/v1/namespaces/connects/finalize", "", "", "", nil},
		{"evict v1beta1", "POST", "$NS/pods/p1/eviction?dryRun=All", `{"apiVersion":"policy/v1beta1","kind":"Eviction","metadata":{"name":"p1"}}`, "", "", nil}, {"evict dry options", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"},"deleteOptions":{"dryRun":["All"]}}`, "", "", nil},
		{"evict grace", "POST", "$NS/pods/p1/eviction?dryRun=All", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"},"deleteOptions":{"gracePeriodSeconds":7}}`, "", "", nil}, {"evict odd options", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"},"deleteOptions":{"dryRun":["Odd"]}}`, "", "", nil},
		{"evict other namespace", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1","namespace":"other"}}`, "", "", nil}, {"evict nothing", "POST", "$NS/pods/p1/eviction?dryRun=All", `{}`, "", "", nil}, {"evict other kind", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"v1","kind":"Pod"}`, "", "", nil},
		{"evict got", "GET", "$NS/pods/p1/eviction", "", "", "", nil}, {"bind got", "GET", "$NS/pods/p1/binding", "", "", "", nil}, {"token got", "GET", "$NS/serviceaccounts/default/token", "", "", "", nil}, {"token dry", "POST", "$NS/serviceaccounts/default/token?dryRun=All", `{}`, "", "", nil},
		{"bind other kind", "POST", "$NS/pods/p1/binding", `{"metadata":{"name":"p1"},"target":{"kind":"Machine","name":"connect-node"}}`, "", "", nil}, {"bind other name", "POST", "$NS/pods/p1/binding?dryRun=All", `{"metadata":{"name":"p2"},"target":{"kind":"Node","name":"connect-node"}}`, "", "", nil}, {"bind no name", "POST", "$NS/pods/p1/binding?dryRun=All", `{"target":{"kind":"Node","name":"connect-node"}}`, "", "", nil},
		{"bind other namespace", "POST", "$NS/pods/p1/binding", `{"metadata":{"name":"p1","namespace":"other"},"target":{"kind":"Node","name":"connect-node"}}`, "", "", nil}, {"bind nowhere", "POST", "$NS/pods/p1/binding?dryRun=All", `{"metadata":{"name":"p1"},"target":{"kind":"Node","name":"nosuch"}}`, "", "", nil}, {"bind labels", "POST", "$NS/pods/p1/binding?dryRun=All", `{"metadata":{"name":"p1","labels":{"a":"b"}},"target":{"kind":"Node","name":"connect-node"}}`, "", "", nil},
		{"bindings no name", "POST", "$NS/bindings?dryRun=All", `{"metadata":{},"target":{"kind":"Node","name":"connect-node"}}`, "", "", nil}, {"bindings listed", "GET", "$NS/bindings", "", "", "", nil},
		{"ephemeral dry", "PATCH", "$NS/pods/p1/ephemeralcontainers?dryRun=All", `{"spec":{"ephemeralContainers":[{"name":"d","image":"x"}]}}`, strategic, "", nil}, {"ephemeral apply", "PATCH", "$NS/pods/p1/ephemeralcontainers?fieldManager=a", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p1"},"spec":{"ephemeralContainers":[{"name":"d","image":"x"}]}}`, applyType, "", nil},
		{"ephemeral removed", "PATCH", "$NS/pods/p1/ephemeralcontainers", `{"spec":{"ephemeralContainers":null}}`, mergeType, "", nil}, {"ephemeral same name", "PATCH", "$NS/pods/p1/ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"c","image":"x"}]}}`, strategic, "", nil}, {"ephemeral with label", "PATCH", "$NS/pods/p1/ephemeralcontainers", `{"metadata":{"labels":{"x":"y"}}}`, mergeType, "", nil},
		{"resize dry", "PATCH", "$NS/pods/p1/resize?dryRun=All", `{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"150m"}}}]}}`, strategic, "", nil}, {"resize apply", "PATCH", "$NS/pods/p1/resize?fieldManager=a&force=true", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p1"},"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"160m"}}}]}}`, applyType, "", nil},
		{"resize memory down", "PATCH", "$NS/pods/p1/resize", `{"spec":{"containers":[{"name":"c","resources":{"limits":{"memory":"1Mi"}}}]}}`, strategic, "", nil}, {"resize class", "PATCH", "$NS/pods/p1/resize", `{"spec":{"containers":[{"name":"c","resources":{"requests":null,"limits":null}}]}}`, strategic, "", nil}, {"resize policy", "PATCH", "$NS/pods/p1/resize", `{"spec":{"containers":[{"name":"c","resizePolicy":[{"resourceName":"cpu","restartPolicy":"RestartContainer"}]}]}}`, strategic, "", nil},
		{"resize other resource", "PATCH", "$NS/pods/p1/resize", `{"spec":{"containers":[{"name":"c","resources":{"requests":{"ephemeral-storage":"1Gi"}}}]}}`, strategic, "", nil}, {"resize of two", "PATCH", "$NS/pods/two/resize", `{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"1"}}}]}}`, strategic, "", nil},
		{"status of a pod put", "PUT", "$NS/pods/p1/status?dryRun=All", `{"metadata":{"name":"p1"},"status":{"phase":"Running"}}`, "", "", nil}, {"status without name", "PUT", "$NS/pods/p1/status?dryRun=All", `{"status":{"phase":"Running"}}`, "", "", nil},
		{"all pods", "DELETE", "$NS/pods?gracePeriodSeconds=0", "", "", "", nil},
	})
}

func connected(path string) string {
	return strings.ReplaceAll(path, "$NS", "/api/v1/namespaces/connects")
}
