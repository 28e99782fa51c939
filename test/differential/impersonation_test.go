package differential

import (
	"crypto/tls"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// impersonations compares who may act as whom: the administrator with the oldest right, and service accounts with the
// constrained ones, which show tokens and no certificates.
func impersonations(t *testing.T, p *Pair, b *Both) {
	p.namespace("acting")
	bare := func(c *tls.Config) *tls.Config { return &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12} }
	q := NewPair(t, NewSide("ours", b.Server.URL, bare(b.Server.TLS()), nil), NewSide("upstream", b.Upstream.URL(), bare(b.Upstream.TLS()), b.Upstream.Net.DialContext))
	defer q.Ours.Close()
	defer q.Theirs.Close()
	q.Ours.vars, q.Theirs.vars, q.pairs = p.Ours.vars, p.Theirs.vars, p.pairs
	for _, a := range []struct{ name, rules string }{
		{"old", `{"apiGroups":[""],"resources":["users","groups","serviceaccounts"],"verbs":["impersonate"]},{"apiGroups":["authentication.k8s.io"],"resources":["uids","userextras/example.org/a"],"verbs":["impersonate"]}`},
		{"users", `{"apiGroups":["authentication.k8s.io"],"resources":["users","groups","uids","userextras/example.org/a"],"verbs":["impersonate:user-info"]},{"apiGroups":[""],"resources":["pods"],"verbs":["impersonate-on:user-info:list"]}`},
		{"one", `{"apiGroups":["authentication.k8s.io"],"resources":["users"],"resourceNames":["jane"],"verbs":["impersonate:user-info"]},{"apiGroups":["*"],"resources":["*"],"verbs":["impersonate-on:user-info:list","impersonate-on:user-info:get"]}`},
		{"accounts", `{"apiGroups":["authentication.k8s.io"],"resources":["serviceaccounts"],"verbs":["impersonate:serviceaccount"]},{"apiGroups":[""],"resources":["pods"],"verbs":["impersonate-on:serviceaccount:list"]}`},
		{"nodes", `{"apiGroups":["authentication.k8s.io"],"resources":["nodes"],"verbs":["impersonate:arbitrary-node"]},{"apiGroups":[""],"resources":["nodes"],"verbs":["impersonate-on:arbitrary-node:list"]}`},
		{"nobody", ``},
	} {
		p.tell("impersonate/"+a.name, "acting", []do{
			{"account", "POST", "$NS/serviceaccounts", `{"metadata":{"name":"` + a.name + `"}}`, "", "", nil},
			{"role", "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", `{"metadata":{"name":"acting-` + a.name + `"},"rules":[` + a.rules + `]}`, "", "", nil},
			{"binding", "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", `{"metadata":{"name":"acting-` + a.name + `"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"acting-` + a.name + `"},"subjects":[{"kind":"ServiceAccount","name":"` + a.name + `","namespace":"acting"}]}`, "", "", nil},
			{"token", "POST", "$NS/serviceaccounts/" + a.name + "/token", `{"spec":{}}`, "", "", map[string]string{"acting as " + a.name: "status.token"}},
		})
		q.act(a.name, map[string]string{"Authorization": "Bearer ${acting as " + a.name + "}"})
	}
	p.act("admin", nil)
	p.Asked, p.Found = p.Asked+q.Asked, append(p.Found, q.Found...)
}

// act asks as many others.
func (p *Pair) act(who string, headers map[string]string) {
	for _, as := range []map[string]string{
		{"User": "jane"}, {"User": "jane", "Group": "staff"}, {"User": "jane", "Group": "system:masters"}, {"User": "jane", "Group": ""}, {"User": "joe", "Uid": "7"},
		{"User": "jane", "Extra-Example.org%2fa": "b"}, {"User": "jane", "Extra-Example.org%2fc": "d"}, {"User": "jane", "Extra-Plain": "d"}, {"User": "jane", "Extra-Example.org%2fa": ""}, {"User": "jane", "Extra-Bad%zz": "d"}, {"User": "jane", "Extra-": "d"},
		{"User": "system:serviceaccount:acting:nobody"}, {"User": "system:serviceaccount:acting:nobody", "Group": "staff"}, {"User": "system:serviceaccount:acting:nobody", "Uid": "7"}, {"User": "system:serviceaccount:acting:"},
		{"User": "system:node:n1"}, {"User": "system:node:n1", "Group": "system:nodes"}, {"User": "system:node:N_1"}, {"User": "system:node:"},
		{"User": "system:anonymous"}, {"User": "system:anonymous", "Group": "system:authenticated"}, {"User": "jane", "Group": "system:unauthenticated"},
		{"Group": "staff"}, {"Uid": "7"}, {"Extra-A": "b"}, {"User": ""}, {"Odd": "x", "User": "jane"},
	} {
		h := maps.Clone(headers)
		if h == nil {
			h = map[string]string{}
		}
		name := ""
		for _, k := range sortedKeys(as) {
			h["Impersonate-"+k] = as[k]
			name += " " + k + "=" + as[k]
		}
		step := "impersonate/" + who + strings.ReplaceAll(name, "*", "")
		p.Ask(step+"/list", Request{Method: http.MethodGet, Path: "/api/v1/namespaces/acting/pods", Header: h})
		p.Ask(step+"/who", Request{Method: http.MethodPost, Path: "/apis/authentication.k8s.io/v1/selfsubjectreviews", Body: `{}`, Header: h})
		p.Ask(step+"/path", Request{Method: http.MethodGet, Path: "/metrics/nosuch", Header: h})
	}
}
