package differential

import (
	"strings"
	"time"
)

const (
	policyGroup = "/apis/admissionregistration.k8s.io/v1/"
	tried       = "/api/v1/namespaces/policies/configmaps?dryRun=All"
)

// settings is a ConfigMap that is tried out.
func settings(name, data string) string {
	return `{"metadata":{"name":"` + name + `"},"data":{` + data + `}}`
}

// rulesOf mean the ConfigMaps of the namespace policies whose label is the name of the test.
const rulesOf = `"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE","UPDATE"],"resources":["configmaps"]}],"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"policies"}}`

// policies compares what admission policies do to writes. Webhooks are not compared: the servers are in two networks.
func policies(p *Pair) {
	p.namespace("policies")
	judged(p)
	changed(p)
	p.tell("policy/end", "policies", []do{{"delete namespace", "DELETE", "/api/v1/namespaces/policies", "", "", "", nil}})
}

// judged is ValidatingAdmissionPolicies: each is written, waited for, tried and taken away.
func judged(p *Pair) {
	p.tell("policy", "policies", []do{
		{"param small", "POST", "$NS/configmaps", `{"metadata":{"name":"small","labels":{"limit":"yes"}},"data":{"most":"2"}}`, "", "", nil},
		{"param large", "POST", "$NS/configmaps", `{"metadata":{"name":"large","labels":{"limit":"yes"}},"data":{"most":"9"}}`, "", "", nil},
	})
	for _, c := range []struct{ name, spec, binding string }{
		{"plain", `"validations":[{"expression":"int(object.data.size) < 2"}]`, `"validationActions":["Deny"]`},
		{"message", `"validations":[{"expression":"int(object.data.size) < 2","message":" too large "}]`, `"validationActions":["Deny"]`},
		{"made message", `"validations":[{"expression":"int(object.data.size) < 2","message":"no","messageExpression":"'size is ' + object.data.size","reason":"Forbidden"}]`, `"validationActions":["Deny"]`},
		{"message that fails", `"validations":[{"expression":"int(object.data.size) < 2","message":"no","messageExpression":"string(object.metadata.labels.none)"}]`, `"validationActions":["Deny"]`},
		{"reason", `"validations":[{"expression":"int(object.data.size) < 2","reason":"RequestEntityTooLarge"}]`, `"validationActions":["Deny"]`},
		{"two", `"validations":[{"expression":"object.metadata.name != 'a'"},{"expression":"int(object.data.size) < 2","message":"second"}]`, `"validationActions":["Deny"]`},
		{"warn", `"validations":[{"expression":"int(object.data.size) < 2"}]`, `"validationActions":["Warn","Audit"]`},
		{"variables", `"variables":[{"name":"n","expression":"int(object.data.size)"},{"name":"odd","expression":"variables.n % 2 == 1"}],"validations":[{"expression":"!variables.odd","messageExpression":"string(variables.n) + ' is odd'"}]`, `"validationActions":["Deny"]`},
		{"fails", `"validations":[{"expression":"object.metadata.annotations.none == 'x'"}]`, `"validationActions":["Deny"]`},
		{"fails, ignored", `"failurePolicy":"Ignore","validations":[{"expression":"object.metadata.annotations.none == 'x'"},{"expression":"int(object.data.size) < 2"}]`, `"validationActions":["Deny"]`},
		{"condition", `"matchConditions":[{"name":"named","expression":"object.metadata.name == 'three'"}],"validations":[{"expression":"false"}]`, `"validationActions":["Deny"]`},
		{"condition fails", `"matchConditions":[{"name":"labelled","expression":"object.metadata.labels.none == 'x'"}],"validations":[{"expression":"false"}]`, `"validationActions":["Deny"]`},
		{"namespace and user", `"validations":[{"expression":"namespaceObject.metadata.name == 'policies' && request.userInfo.username == 'nobody'","messageExpression":"request.userInfo.username + ' ' + request.operation + ' ' + request.resource.resource + ' ' + request.kind.kind + ' ' + string(request.dryRun)"}]`, `"validationActions":["Deny"]`},
		{"authorizer", `"validations":[{"expression":"!authorizer.group('').resource('secrets').namespace('policies').check('list').allowed()","message":"may list secrets"}]`, `"validationActions":["Deny"]`},
		{"param", `"paramKind":{"apiVersion":"v1","kind":"ConfigMap"},"validations":[{"expression":"int(object.data.size) <= int(params.data.most)","messageExpression":"'most is ' + params.data.most + ' of ' + params.metadata.name"}]`, `"validationActions":["Deny"],"paramRef":{"name":"small","namespace":"policies","parameterNotFoundAction":"Deny"}`},
		{"params by label", `"paramKind":{"apiVersion":"v1","kind":"ConfigMap"},"validations":[{"expression":"int(object.data.size) <= int(params.data.most)"}]`, `"validationActions":["Deny"],"paramRef":{"selector":{"matchLabels":{"limit":"yes"}},"parameterNotFoundAction":"Deny"}`},
		{"no param, denied", `"paramKind":{"apiVersion":"v1","kind":"ConfigMap"},"validations":[{"expression":"true"}]`, `"validationActions":["Deny"],"paramRef":{"name":"none","parameterNotFoundAction":"Deny"}`},
		{"annotation fails", `"auditAnnotations":[{"key":"k","valueExpression":"string(object.metadata.annotations['none'])"}],"validations":[{"expression":"int(object.data.size) < 2"}]`, `"validationActions":["Warn"]`},
	} {
		p.tell("policy/"+c.name, "policies", []do{
			{"policy", "POST", policyGroup + "validatingadmissionpolicies", `{"metadata":{"name":"judge"},"spec":{"matchConstraints":{` + rulesOf + `},` + c.spec + `}}`, "", "", nil},
			{"binding", "POST", policyGroup + "validatingadmissionpolicybindings", `{"metadata":{"name":"here"},"spec":{"policyName":"judge",` + c.binding + `}}`, "", "", nil},
		})
		p.enforced(c.name)
		p.tell("policy/"+c.name, "policies", []do{
			{"small", "POST", tried, settings("one", `"size":"1"`), "", "", nil}, {"large", "POST", tried, settings("three", `"size":"3"`), "", "", nil},
			{"no number", "POST", tried, settings("text", `"size":"x"`), "", "", nil}, {"no data", "POST", tried, settings("none", ""), "", "", nil},
			{"a name to be made", "POST", tried, `{"metadata":{"generateName":"made-"},"data":{"size":"3"}}`, "", "", nil},
			{"update", "PATCH", "$NS/configmaps/small?dryRun=All", `{"data":{"size":"3"}}`, mergeType, "", nil},
			{"another kind", "POST", "$NS/secrets?dryRun=All", `{"metadata":{"name":"s"}}`, "", "", nil},
			{"no binding", "DELETE", policyGroup + "validatingadmissionpolicybindings/here", "", "", "", nil}, {"no policy", "DELETE", policyGroup + "validatingadmissionpolicies/judge", "", "", "", nil},
		})
		p.released(c.name)
	}
}

// changed is MutatingAdmissionPolicies.
func changed(p *Pair) {
	for _, c := range []struct{ name, spec string }{
		{"steps", `"mutations":[{"patchType":"JSONPatch","jsonPatch":{"expression":"[JSONPatch{op: 'add', path: '/data/seen', value: 'judge'}, JSONPatch{op: 'copy', from: '/data/size', path: '/data/again'}]"}}]`},
		{"escaped", `"mutations":[{"patchType":"JSONPatch","jsonPatch":{"expression":"[JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}, JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('a/b'), value: 'judge'}]"}}]`},
		{"a step that cannot be done", `"mutations":[{"patchType":"JSONPatch","jsonPatch":{"expression":"[JSONPatch{op: 'remove', path: '/data/judge'}]"}}]`},
		{"a test that fails", `"mutations":[{"patchType":"JSONPatch","jsonPatch":{"expression":"[JSONPatch{op: 'test', path: '/data/size', value: '1'}, JSONPatch{op: 'add', path: '/data/seen', value: 'judge'}]"}},{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{data: {'after': 'judge'}}"}}]`},
		{"configuration", `"mutations":[{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{metadata: Object.metadata{labels: {'size': object.data.size}}, data: {'seen': 'judge'}}"}}]`},
		{"of another type", `"mutations":[{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{data: {'judge': object.data.none}}"}}]`},
		{"ignored", `"failurePolicy":"Ignore","mutations":[{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{data: {'judge': object.data.none}}"}},{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{data: {'after': 'judge'}}"}}]`},
		{"a name", `"mutations":[{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{data: {'judge': (has(object.metadata.name) ? object.metadata.name : 'none') + (has(object.metadata.uid) ? ', uid' : ', none') + (has(object.metadata.creationTimestamp) && object.metadata.creationTimestamp != null ? ', time, ' : ', none, ') + (has(request.name) ? request.name : 'none')}}"}}]`},
		{"condition", `"matchConditions":[{"name":"named","expression":"object.metadata.name == 'three'"}],"mutations":[{"patchType":"ApplyConfiguration","applyConfiguration":{"expression":"Object{data: {'seen': 'judge'}}"}}]`},
	} {
		p.tell("policy/change "+c.name, "policies", []do{
			{"policy", "POST", policyGroup + "mutatingadmissionpolicies", `{"metadata":{"name":"judge"},"spec":{"matchConstraints":{` + rulesOf + `},"reinvocationPolicy":"Never",` + c.spec + `}}`, "", "", nil},
			{"binding", "POST", policyGroup + "mutatingadmissionpolicybindings", `{"metadata":{"name":"here"},"spec":{"policyName":"judge"}}`, "", "", nil},
		})
		p.enforced(c.name)
		p.tell("policy/change "+c.name, "policies", []do{
			{"small", "POST", tried, settings("one", `"size":"1"`), "", "", nil}, {"large", "POST", tried, settings("three", `"size":"3"`), "", "", nil}, {"no data", "POST", tried, settings("none", ""), "", "", nil},
			{"a name to be made", "POST", tried, `{"metadata":{"generateName":"made-"},"data":{"size":"3"}}`, "", "", nil},
			{"update", "PATCH", "$NS/configmaps/small?dryRun=All", `{"data":{"size":"3"}}`, mergeType, "", nil},
			{"no binding", "DELETE", policyGroup + "mutatingadmissionpolicybindings/here", "", "", "", nil}, {"no policy", "DELETE", policyGroup + "mutatingadmissionpolicies/judge", "", "", "", nil},
		})
		p.released(c.name)
	}
}

// enforced waits until both sides speak of the judge when a large ConfigMap is tried, in the answer or in a warning: upstream's
// admission learns of policies a moment after they are written, ours when its cache does.
func (p *Pair) enforced(what string) { p.judging(what, true) }

// released waits until neither does any more.
func (p *Pair) released(what string) { p.judging(what, false) }

func (p *Pair) judging(what string, both bool) {
	p.t.Helper()
	speaks := func(a Answer) bool {
		return strings.Contains(string(a.Raw)+strings.Join(a.Header["Warning"], ""), "judge")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		ours, theirs := p.both(p.t.Context(), Request{Method: "POST", Path: tried, Body: settings("three", `"size":"3"`)})
		if speaks(ours) == both && speaks(theirs) == both {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: judged by ours %v, by theirs %v, want %v\n%s\n%s", what, speaks(ours), speaks(theirs), both, ours.Raw, theirs.Raw)
		}
		<-time.After(20 * time.Millisecond)
	}
}
