package differential

import (
	"net/http"
	"strings"
)

// do is one request of a story told as a list.
type do struct {
	name, method, path, body, media string
	as                              string            // user to act as
	save                            map[string]string // variables that the answer sets
}

// tell asks each in turn; $NS stands for the namespace's path.
func (p *Pair) tell(step, ns string, list []do) {
	p.t.Helper()
	for _, d := range list {
		r := Request{Method: d.method, Path: strings.ReplaceAll(d.path, "$NS", "/api/v1/namespaces/"+ns), Body: d.body, Type: d.media, Save: d.save}
		if d.as != "" {
			r.Header = map[string]string{"Impersonate-User": d.as}
			if strings.HasPrefix(d.as, "system:node:") {
				r.Header["Impersonate-Group"] = "system:nodes"
			}
		}
		p.Ask(step+"/"+d.name, r)
	}
}

const onePod = `{"metadata":{"name":"p1","labels":{"app":"p"}},"spec":{"containers":[{"name":"c","image":"registry.example/x:1","resources":{"requests":{"cpu":"100m"},"limits":{"cpu":"200m"}}}]}}`

// subresources are those that have a behaviour of their own.
func subresources(p *Pair) {
	p.namespace("subs")
	p.tell("sub/pod", "subs", []do{
		{"node", "POST", "/api/v1/nodes", `{"metadata":{"name":"sub-node"},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}]}}`, "", "", nil},
		{"create", "POST", "$NS/pods", onePod, "", "", map[string]string{"pod uid": "metadata.uid"}},
		{"log, unassigned", "GET", "$NS/pods/p1/log", "", "", "", nil},
		{"log, odd options", "GET", "$NS/pods/p1/log?tailLines=-1", "", "", "", nil},
		{"log, no container", "GET", "$NS/pods/p1/log?container=none", "", "", "", nil},
		{"log, nobody", "GET", "$NS/pods/nobody/log", "", "", "", nil},
		{"exec, unassigned", "POST", "$NS/pods/p1/exec?command=x&stdout=1", "", "", "", nil},
		{"binding, no target", "POST", "$NS/pods/p1/binding", `{"metadata":{"name":"p1"},"target":{}}`, "", "", nil},
		{"binding, dry", "POST", "$NS/pods/p1/binding?dryRun=All", `{"metadata":{"name":"p1"},"target":{"kind":"Node","name":"sub-node"}}`, "", "", nil},
		{"binding, other uid", "POST", "$NS/pods/p1/binding", `{"metadata":{"name":"p1","uid":"11111111-2222-3333-4444-555555555555"},"target":{"kind":"Node","name":"sub-node"}}`, "", "", nil},
		{"binding", "POST", "$NS/pods/p1/binding", `{"metadata":{"name":"p1","annotations":{"by":"me"}},"target":{"kind":"Node","name":"sub-node"}}`, "", "", nil},
		{"binding again", "POST", "$NS/pods/p1/binding", `{"metadata":{"name":"p1"},"target":{"kind":"Node","name":"sub-node"}}`, "", "", nil},
		{"binding, nobody", "POST", "$NS/pods/nobody/binding", `{"metadata":{"name":"nobody"},"target":{"kind":"Node","name":"sub-node"}}`, "", "", nil},
		{"bindings", "POST", "$NS/bindings", `{"metadata":{"name":"p1"},"target":{"kind":"Node","name":"sub-node"}}`, "", "", nil},
		{"get bound", "GET", "$NS/pods/p1", "", "", "", nil},
		{"by node", "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dsub-node", "", "", "", nil},
		{"ephemeral", "PATCH", "$NS/pods/p1/ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"debug","image":"registry.example/tool:1","targetContainerName":"c"}]}}`, strategic, "", nil},
		{"ephemeral get", "GET", "$NS/pods/p1/ephemeralcontainers", "", "", "", nil},
		{"ephemeral change", "PATCH", "$NS/pods/p1/ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"debug","image":"registry.example/tool:2"}]}}`, strategic, "", nil},
		{"ephemeral with resources", "PATCH", "$NS/pods/p1/ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"more","image":"x","resources":{"limits":{"cpu":"1"}}}]}}`, strategic, "", nil},
		{"ephemeral by update", "PATCH", "$NS/pods/p1", `{"spec":{"ephemeralContainers":[{"name":"other","image":"x"}]}}`, strategic, "", nil},
		{"resize", "PATCH", "$NS/pods/p1/resize", `{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"150m"}}}]}}`, strategic, "", nil},
		{"resize over limit", "PATCH", "$NS/pods/p1/resize", `{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"900m"}}}]}}`, strategic, "", nil},
		{"resize image", "PATCH", "$NS/pods/p1/resize", `{"spec":{"containers":[{"name":"c","image":"other"}]}}`, strategic, "", nil},
		{"resize by update", "PATCH", "$NS/pods/p1", `{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"120m"}}}]}}`, strategic, "", nil},
		{"resize get", "GET", "$NS/pods/p1/resize", "", "", "", nil},
		{"status", "PATCH", "$NS/pods/p1/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":"c","ready":true,"image":"x","imageID":"","restartCount":0,"state":{"running":{}}}]}}`, strategic, "", nil},
		{"budget", "POST", "/apis/policy/v1/namespaces/subs/poddisruptionbudgets", `{"metadata":{"name":"none"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"p"}}}}`, "", "", nil},
		{"evict, budget unknown", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"}}`, "", "", nil},
		{"budget status", "PATCH", "/apis/policy/v1/namespaces/subs/poddisruptionbudgets/none/status", `{"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}`, mergeType, "", nil},
		{"evict, none left", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"}}`, "", "", nil},
		{"budget of one", "PATCH", "/apis/policy/v1/namespaces/subs/poddisruptionbudgets/none/status", `{"status":{"disruptionsAllowed":1}}`, mergeType, "", nil},
		{"evict, other name", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p2"}}`, "", "", nil},
		{"evict, dry", "POST", "$NS/pods/p1/eviction?dryRun=All", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"}}`, "", "", nil},
		{"evict, stale", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"},"deleteOptions":{"preconditions":{"uid":"11111111-2222-3333-4444-555555555555"}}}`, "", "", nil},
		{"evict", "POST", "$NS/pods/p1/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p1"}}`, "", "", nil},
		{"budget after", "GET", "/apis/policy/v1/namespaces/subs/poddisruptionbudgets/none", "", "", "", nil},
		{"get evicted", "GET", "$NS/pods/p1", "", "", "", nil},
		{"evict nobody", "POST", "$NS/pods/nobody/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"nobody"}}`, "", "", nil},
		{"delete now", "DELETE", "$NS/pods/p1?gracePeriodSeconds=0", "", "", "", nil},
	})
	tokens(p)
	reviews(p)
}

func tokens(p *Pair) {
	p.tell("sub/token", "subs", []do{
		{"issue", "POST", "$NS/serviceaccounts/default/token", `{"spec":{"audiences":["https://kubernetes.default.svc.cluster.local"],"expirationSeconds":3600}}`, "", "", map[string]string{"jwt": "status.token"}},
		{"issue default", "POST", "$NS/serviceaccounts/default/token", `{}`, "", "", nil},
		{"too short", "POST", "$NS/serviceaccounts/default/token", `{"spec":{"expirationSeconds":10}}`, "", "", nil},
		{"too long", "POST", "$NS/serviceaccounts/default/token", `{"spec":{"expirationSeconds":5000000000}}`, "", "", nil},
		{"other audience", "POST", "$NS/serviceaccounts/default/token", `{"spec":{"audiences":["x"]}}`, "", "", map[string]string{"jwt x": "status.token"}},
		{"bound to nobody", "POST", "$NS/serviceaccounts/default/token", `{"spec":{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"nobody"}}}`, "", "", nil},
		{"bound oddly", "POST", "$NS/serviceaccounts/default/token", `{"spec":{"boundObjectRef":{"kind":"ConfigMap","apiVersion":"v1","name":"x"}}}`, "", "", nil},
		{"of nobody", "POST", "$NS/serviceaccounts/nobody/token", `{}`, "", "", nil},
		{"other name", "POST", "$NS/serviceaccounts/default/token", `{"metadata":{"name":"x"}}`, "", "", nil},
		{"review", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", `{"spec":{"token":"${jwt}"}}`, "", "", nil},
		{"review other audience", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", `{"spec":{"token":"${jwt x}","audiences":["x"]}}`, "", "", nil},
		{"review wrong audience", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", `{"spec":{"token":"${jwt x}"}}`, "", "", nil},
		{"review nonsense", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", `{"spec":{"token":"nonsense"}}`, "", "", nil},
		{"review nothing", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", `{"spec":{}}`, "", "", nil},
	})
	for name, token := range map[string]string{"good": "${jwt}", "bad": "nonsense", "other": "${jwt x}"} {
		p.Ask("sub/token/as "+name, Request{Method: http.MethodGet, Path: "/api/v1/namespaces/subs/pods", Header: map[string]string{"Authorization": "Bearer " + token}})
	}
}

func reviews(p *Pair) {
	const auth = "/apis/authorization.k8s.io/v1/"
	p.tell("sub/review", "subs", []do{
		{"who", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`, "", "", nil},
		{"who is jane", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`, "", "jane", nil},
		{"may I", "POST", auth + "selfsubjectaccessreviews", `{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}`, "", "", nil},
		{"may jane", "POST", auth + "selfsubjectaccessreviews", `{"spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"subs"}}}`, "", "jane", nil},
		{"may jane, path", "POST", auth + "selfsubjectaccessreviews", `{"spec":{"nonResourceAttributes":{"verb":"get","path":"/version"}}}`, "", "jane", nil},
		{"may both", "POST", auth + "selfsubjectaccessreviews", `{"spec":{"nonResourceAttributes":{"verb":"get","path":"/x"},"resourceAttributes":{"verb":"get"}}}`, "", "", nil},
		{"may nothing", "POST", auth + "selfsubjectaccessreviews", `{"spec":{}}`, "", "", nil},
		{"subject", "POST", auth + "subjectaccessreviews", `{"spec":{"user":"jane","groups":["system:masters"],"resourceAttributes":{"verb":"get","resource":"pods"}}}`, "", "", nil},
		{"no subject", "POST", auth + "subjectaccessreviews", `{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}`, "", "", nil},
		{"selector", "POST", auth + "subjectaccessreviews", `{"spec":{"user":"jane","resourceAttributes":{"verb":"list","resource":"pods","labelSelector":{"rawSelector":"a=b"}}}}`, "", "", nil},
		{"local", "POST", auth + "namespaces/subs/localsubjectaccessreviews", `{"metadata":{"namespace":"subs"},"spec":{"user":"jane","resourceAttributes":{"namespace":"subs","verb":"get","resource":"pods"}}}`, "", "", nil},
		{"local, elsewhere", "POST", auth + "namespaces/subs/localsubjectaccessreviews", `{"spec":{"user":"jane","resourceAttributes":{"namespace":"default","verb":"get","resource":"pods"}}}`, "", "", nil},
		{"rules", "POST", auth + "selfsubjectrulesreviews", `{"spec":{"namespace":"subs"}}`, "", "", nil},
		{"rules of jane", "POST", auth + "selfsubjectrulesreviews", `{"spec":{"namespace":"subs"}}`, "", "jane", nil},
		{"rules nowhere", "POST", auth + "selfsubjectrulesreviews", `{"spec":{}}`, "", "", nil},
		{"jane gets", "GET", "$NS/pods/x", "", "", "jane", nil}, {"jane lists", "GET", "/api/v1/nodes", "", "", "jane", nil}, {"jane makes", "POST", "/apis/apps/v1/namespaces/subs/deployments", `{}`, "", "jane", nil},
		{"jane reads a path", "GET", "/metrics", "", "", "jane", nil}, {"jane scales", "PATCH", "/apis/apps/v1/namespaces/subs/deployments/x/scale", `{}`, mergeType, "jane", nil},
		{"role", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/subs/roles", `{"metadata":{"name":"r"},"rules":[{"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles","rolebindings"],"verbs":["*"]}]}`, "", "", nil},
		{"binding", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/subs/rolebindings", `{"metadata":{"name":"b"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"joe"}]}`, "", "", nil},
	})
	p.until(Request{Method: http.MethodPost, Path: "/apis/rbac.authorization.k8s.io/v1/namespaces/subs/roles?dryRun=All", Body: `{"metadata":{"name":"all"},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}`,
		Header: map[string]string{"Impersonate-User": "joe"}}, `"kind":"Role"`)
	p.tell("sub/review", "subs", []do{
		{"joe escalates", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/subs/roles", `{"metadata":{"name":"all"},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}`, "", "joe", nil},
		{"joe binds", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/subs/rolebindings", `{"metadata":{"name":"c"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"User","name":"joe"}]}`, "", "joe", nil},
		{"role reference changes", "PATCH", "/apis/rbac.authorization.k8s.io/v1/namespaces/subs/rolebindings/b", `{"roleRef":{"name":"other"}}`, mergeType, "", nil},
		{"node reads a secret", "GET", "$NS/secrets/x", "", "", "system:node:sub-node", nil}, {"node lists pods", "GET", "/api/v1/pods", "", "", "system:node:sub-node", nil},
		{"node reads itself", "GET", "/api/v1/nodes/sub-node", "", "", "system:node:sub-node", nil}, {"node changes another", "PATCH", "/api/v1/nodes/machine", `{"metadata":{"labels":{"a":"b"}}}`, mergeType, "system:node:sub-node", nil},
		{"node restricts itself", "PATCH", "/api/v1/nodes/sub-node", `{"metadata":{"labels":{"node-restriction.kubernetes.io/a":"b"}}}`, mergeType, "system:node:sub-node", nil},
		{"sign", "POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", `{"metadata":{"name":"sub-csr"},"spec":{"request":"${csr}","signerName":"kubernetes.io/kube-apiserver-client","usages":["client auth"]}}`, "", "", nil},
		{"approve", "PATCH", "/apis/certificates.k8s.io/v1/certificatesigningrequests/sub-csr/approval", `{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Good","message":"ok"}]}}`, mergeType, "", nil},
		{"approve and deny", "PATCH", "/apis/certificates.k8s.io/v1/certificatesigningrequests/sub-csr/approval", `{"status":{"conditions":[{"type":"Denied","status":"True"}]}}`, mergeType, "", nil},
		{"approve by status", "PATCH", "/apis/certificates.k8s.io/v1/certificatesigningrequests/sub-csr/status", `{"status":{"conditions":[]}}`, mergeType, "", nil},
		{"odd certificate", "PATCH", "/apis/certificates.k8s.io/v1/certificatesigningrequests/sub-csr/status", `{"status":{"certificate":"eA=="}}`, mergeType, "", nil},
	})
}
