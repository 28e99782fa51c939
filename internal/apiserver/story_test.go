package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
)

// must fails the test where a has another code, and returns its JSON.
func must(t *testing.T, a answer, code int) map[string]any {
	t.Helper()
	if a.code != code {
		t.Fatalf("%d, want %d: %s", a.code, code, a.body)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return m
}

// at reads a path such as "metadata.name" out of decoded JSON.
func at(m map[string]any, path string) any {
	var v any = m
	for _, p := range strings.Split(path, ".") {
		x, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = x[p]
	}
	return v
}

func podJSON(name, extra string) string {
	return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `","labels":{"app":"` + name + `"}},"spec":{"containers":[{"name":"c","image":"i"}]` + extra + `}}`
}

// TestPodGoes tells how pods are deleted: at once while they have no node, else when their node says so.
func TestPodGoes(t *testing.T) {
	s := apiservertest.Start(t)
	must(t, do(t, s, "POST", pods, podJSON("a", "")), 201)
	m := must(t, do(t, s, "DELETE", pods+"/a", ""), 200)
	if at(m, "kind") != "Pod" {
		t.Errorf("deleting an unscheduled pod answered %v", m["kind"])
	}
	must(t, do(t, s, "GET", pods+"/a", ""), 404)

	must(t, do(t, s, "POST", pods, podJSON("b", "")), 201)
	must(t, do(t, s, "POST", pods+"/b/binding", `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"b"},"target":{"kind":"Node","name":"n"}}`), 201)
	a := do(t, s, "POST", pods+"/b/binding", `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"b"},"target":{"kind":"Node","name":"m"}}`)
	if st := a.status(t); a.code != 409 || st.Message != `Operation cannot be fulfilled on pods/binding "b": pod b is already assigned to node "n"` {
		t.Errorf("second binding: %d %s", a.code, st.Message)
	}
	m = must(t, do(t, s, "GET", pods+"?fieldSelector=spec.nodeName%3Dn", ""), 200)
	if n := len(m["items"].([]any)); n != 1 {
		t.Errorf("%d pods on the node", n)
	}
	must(t, do(t, s, "PATCH", pods+"/b/status", `{"status":{"phase":"Running"}}`, "Content-Type", mergePatch), 200)
	m = must(t, do(t, s, "DELETE", pods+"/b", `{"gracePeriodSeconds":20}`), 200)
	if at(m, "metadata.deletionGracePeriodSeconds") != 20.0 || at(m, "metadata.deletionTimestamp") == nil {
		t.Errorf("deletion: %v", m["metadata"])
	}
	m = must(t, do(t, s, "DELETE", pods+"/b", `{"gracePeriodSeconds":30}`), 200)
	if at(m, "metadata.deletionGracePeriodSeconds") != 20.0 {
		t.Errorf("a longer second period was taken: %v", m["metadata"])
	}
	must(t, do(t, s, "DELETE", pods+"/b", `{"gracePeriodSeconds":0}`), 200)
	must(t, do(t, s, "GET", pods+"/b", ""), 404)
}

// TestFinalizers tells that an object waits for its finalizers, and goes with the last.
func TestFinalizers(t *testing.T) {
	s := apiservertest.Start(t)
	must(t, do(t, s, "POST", cms, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","finalizers":["x.io/y"]}}`), 201)
	m := must(t, do(t, s, "DELETE", cms+"/a", `{"propagationPolicy":"Foreground"}`), 200)
	if f := fmt.Sprint(at(m, "metadata.finalizers")); f != "[x.io/y foregroundDeletion]" {
		t.Errorf("finalizers %s", f)
	}
	a := do(t, s, "POST", cms, configMap("a", "{}"))
	if st := a.status(t); st.Message != `object is being deleted: configmaps "a" already exists` {
		t.Errorf("create over a deleting object: %s", st.Message)
	}
	must(t, do(t, s, "PATCH", cms+"/a", `{"metadata":{"finalizers":null}}`, "Content-Type", mergePatch), 200)
	must(t, do(t, s, "GET", cms+"/a", ""), 404)
}

// TestNamespaceGoes tells that a namespace waits for its controller.
func TestNamespaceGoes(t *testing.T) {
	s := apiservertest.Start(t)
	const ns = "/api/v1/namespaces"
	must(t, do(t, s, "POST", ns, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}`), 201)
	m := must(t, do(t, s, "DELETE", ns+"/n", ""), 200)
	if at(m, "status.phase") != "Terminating" {
		t.Errorf("phase %v", at(m, "status.phase"))
	}
	must(t, do(t, s, "PUT", ns+"/n/finalize", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"},"spec":{}}`), 200)
	must(t, do(t, s, "GET", ns+"/n", ""), 404)
}

// TestAddresses tells how Services get and give back what they need.
func TestAddresses(t *testing.T) {
	s := apiservertest.Start(t)
	const svcs = "/api/v1/namespaces/default/services"
	svc := func(name, spec string) string {
		return `{"apiVersion":"v1","kind":"Service","metadata":{"name":"` + name + `"},"spec":{` + spec + `"ports":[{"port":80}]}}`
	}
	m := must(t, do(t, s, "POST", svcs, svc("a", `"clusterIP":"10.96.0.77","type":"NodePort",`)), 201)
	port := at(m, "spec.ports").([]any)[0].(map[string]any)["nodePort"].(float64)
	if port < 30000 || port > 32767 {
		t.Errorf("node port %v", port)
	}
	a := do(t, s, "POST", svcs, svc("b", `"clusterIP":"10.96.0.77",`))
	if st := a.status(t); a.code != 422 || st.Message != `Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.77"]: failed to allocate IP 10.96.0.77: provided IP is already allocated` {
		t.Errorf("taken address: %d %s", a.code, st.Message)
	}
	must(t, do(t, s, "GET", "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.77", ""), 200)
	must(t, do(t, s, "PATCH", svcs+"/a", `{"spec":{"selector":{"x":"y"}}}`, "Content-Type", strategicPatch), 200)
	m = must(t, do(t, s, "PATCH", svcs+"/a", `{"spec":{"type":"ClusterIP"}}`, "Content-Type", strategicPatch), 200)
	if p := at(m, "spec.ports").([]any)[0].(map[string]any)["nodePort"]; p != nil {
		t.Errorf("a ClusterIP service kept node port %v", p)
	}
	must(t, do(t, s, "POST", svcs, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"c"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":`+fmt.Sprint(port)+`}]}}`), 201)
	must(t, do(t, s, "DELETE", svcs+"/a", ""), 200)
	must(t, do(t, s, "GET", "/apis/networking.k8s.io/v1/ipaddresses/10.96.0.77", ""), 404)
	must(t, do(t, s, "POST", svcs, svc("b", `"clusterIP":"10.96.0.77",`)), 201)
	must(t, do(t, s, "POST", svcs, svc("h", `"clusterIP":"None",`)), 201)
	must(t, do(t, s, "POST", svcs, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"e"},"spec":{"type":"ExternalName","externalName":"x.org"}}`), 201)
	m = must(t, do(t, s, "POST", svcs+"?dryRun=All", svc("d", "")), 201)
	if at(m, "spec.clusterIP") == nil {
		t.Error("no address in a dry run")
	}
	must(t, do(t, s, "GET", svcs+"/d", ""), 404)
}

// TestPages walks a list in pages of one state while it changes.
func TestPages(t *testing.T) {
	s := apiservertest.Start(t)
	for i := range 5 {
		must(t, do(t, s, "POST", cms, configMap(fmt.Sprintf("c%d", i), "{}")), 201)
	}
	m := must(t, do(t, s, "GET", cms+"?limit=2", ""), 200)
	if at(m, "metadata.remainingItemCount") != 3.0 {
		t.Errorf("remaining %v", at(m, "metadata.remainingItemCount"))
	}
	rev := at(m, "metadata.resourceVersion")
	must(t, do(t, s, "DELETE", cms+"/c3", ""), 200)
	var names []string
	for {
		for _, i := range m["items"].([]any) {
			names = append(names, at(i.(map[string]any), "metadata.name").(string))
		}
		next, _ := at(m, "metadata.continue").(string)
		if next == "" {
			break
		}
		m = must(t, do(t, s, "GET", cms+"?limit=2&continue="+next, ""), 200)
		if at(m, "metadata.resourceVersion") != rev {
			t.Errorf("page of revision %v, first of %v", at(m, "metadata.resourceVersion"), rev)
		}
	}
	if got := strings.Join(names, " "); got != "c0 c1 c2 c3 c4" {
		t.Errorf("pages: %s", got)
	}
}

// TestEncodings reads the same object in every form.
func TestEncodings(t *testing.T) {
	s := apiservertest.Start(t)
	m := must(t, do(t, s, "POST", cms, configMap("a", `{"k":"<v>"}`)), 201)
	for _, c := range []struct{ accept, want string }{
		{"application/yaml", "kind: ConfigMap"},
		{"application/json;as=Table;v=v1;g=meta.k8s.io", `"kind":"Table"`},
		{"application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", `"kind":"PartialObjectMetadata"`},
		{"application/json", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"`},
	} {
		if a := do(t, s, "GET", cms+"/a", "", "Accept", c.accept); a.code != 200 || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s", c.accept, a.code, a.body)
		}
	}
	got, err := client.Of(s.Client, client.ConfigMaps).Get(t.Context(), "default", "a")
	if err != nil || got.ResourceVersion != at(m, "metadata.resourceVersion") || got.Data["k"] != "<v>" {
		t.Errorf("protobuf: %v %v", got, err)
	}
	list, lm, err := client.Of(s.Client, client.ConfigMaps).List(t.Context(), "", metav1.ListOptions{})
	if err != nil || len(list) != 1 || list[0].ResourceVersion != got.ResourceVersion || lm.GetResourceVersion() == "" {
		t.Errorf("protobuf list: %v %v", list, err)
	}
	a := do(t, s, "GET", cms+"?pretty=true", "")
	if !strings.HasPrefix(a.body, "{\n  \"kind\": \"ConfigMapList\"") {
		t.Errorf("pretty: %s", a.body)
	}
}

// TestWatchFollowsList checks that a list and the watch from its revision together are the truth, under concurrent writers.
func TestWatchFollowsList(t *testing.T) {
	s := apiservertest.Start(t)
	r := client.Of(s.Client, client.ConfigMaps)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	write := func(n int) {
		defer wg.Done()
		for i := range 40 {
			name := fmt.Sprintf("c%d-%d", n, i%5)
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Data: map[string]string{"i": fmt.Sprint(i)}}
			if _, err := r.Create(ctx, cm); err != nil {
				if _, err = r.Update(ctx, cm); err != nil {
					t.Errorf("update %s: %v", name, err)
				}
			}
			if i%7 == 6 {
				if err := r.Delete(ctx, "default", name, metav1.DeleteOptions{}); err != nil {
					t.Errorf("delete %s: %v", name, err)
				}
			}
		}
	}
	wg.Add(4)
	for n := range 4 {
		go write(n)
	}
	items, lm, err := r.List(ctx, "", metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, cm := range items {
		have[cm.Name] = cm.ResourceVersion
	}
	w, err := r.Watch(ctx, "", metav1.ListOptions{ResourceVersion: lm.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	wg.Wait()
	final, fm, err := r.List(ctx, "", metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	end, err := r.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "zz-end", Namespace: "default"}})
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Object.Name == end.Name {
			break
		}
		if e.Type == "DELETED" {
			delete(have, e.Object.Name)
		} else {
			have[e.Object.Name] = e.Object.ResourceVersion
		}
	}
	if len(have) != len(final) {
		t.Errorf("watched %d objects, listed %d at %s", len(have), len(final), fm.GetResourceVersion())
	}
	for _, cm := range final {
		if have[cm.Name] != cm.ResourceVersion {
			t.Errorf("%s: watched %q, listed %q", cm.Name, have[cm.Name], cm.ResourceVersion)
		}
	}
}

// TestWatchForms reads the special events of watches.
func TestWatchForms(t *testing.T) {
	s := apiservertest.Start(t)
	must(t, do(t, s, "POST", cms, configMap("a", "{}")), 201)
	for _, c := range []struct {
		name, query, accept string
		want                []string
	}{
		{"state first", "resourceVersion=0", "", []string{`"ADDED"`, `"name":"a"`}},
		{"watch list", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", "", []string{`"ADDED"`, `{"type":"BOOKMARK","object":{"kind":"ConfigMap"`, `"k8s.io/initial-events-end":"true"`}},
		{"table", "resourceVersion=0", "application/json;as=Table;v=v1;g=meta.k8s.io", []string{`{"type":"ADDED","object":{"kind":"Table","apiVersion":"meta.k8s.io/v1"`, `"columnDefinitions":[{`}},
		{"metadata", "resourceVersion=0", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", []string{`{"type":"ADDED","object":{"kind":"PartialObjectMetadata"`}},
		{"one by name", "resourceVersion=0&fieldSelector=metadata.name%3Da", "", []string{`"ADDED"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", s.URL+cms+"?watch=1&"+c.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.accept != "" {
				req.Header.Set("Accept", c.accept)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var seen strings.Builder
			buf := make([]byte, 4096)
			for missing(seen.String(), c.want) != "" {
				n, err := resp.Body.Read(buf)
				seen.Write(buf[:n])
				if err != nil {
					t.Fatalf("no %s: %v: %s", missing(seen.String(), c.want), err, seen.String())
				}
			}
		})
	}
}

func missing(s string, want []string) string {
	for _, w := range want {
		if !strings.Contains(s, w) {
			return w
		}
	}
	return ""
}

// TestApply tells of two managers of one object.
func TestApply(t *testing.T) {
	s := apiservertest.Start(t)
	apply := func(manager, query, body string) answer {
		return do(t, s, "PATCH", deps+"/web?fieldManager="+manager+query, body, "Content-Type", applyPatch)
	}
	conf := func(replicas int, image string) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":%d,"selector":{"matchLabels":{"a":"b"}},
			"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":%q}]}}}}`, replicas, image)
	}
	must(t, apply("one", "", conf(1, "x")), 201)
	a := apply("two", "", conf(2, "x"))
	if st := a.status(t); a.code != 409 || len(st.Details.Causes) != 1 || st.Details.Causes[0].Field != ".spec.replicas" {
		t.Errorf("conflict: %d %s", a.code, a.body)
	}
	m := must(t, apply("two", "&force=true", conf(2, "x")), 200)
	if at(m, "spec.replicas") != 2.0 || len(at(m, "metadata.managedFields").([]any)) != 2 {
		t.Errorf("forced: %v", m["metadata"])
	}
	must(t, do(t, s, "PATCH", deps+"/web/scale", `{"spec":{"replicas":5}}`, "Content-Type", mergePatch), 200)
	m = must(t, do(t, s, "GET", deps+"/web", ""), 200)
	if at(m, "spec.replicas") != 5.0 || at(m, "metadata.generation") != 3.0 {
		t.Errorf("scaled: replicas %v generation %v", at(m, "spec.replicas"), at(m, "metadata.generation"))
	}
	if !strings.Contains(fmt.Sprint(at(m, "metadata.managedFields")), "subresource:scale") {
		t.Errorf("no entry for scale: %v", at(m, "metadata.managedFields"))
	}
}

// TestEviction holds a pod by its budget.
func TestEviction(t *testing.T) {
	s := apiservertest.Start(t)
	must(t, do(t, s, "POST", pods, podJSON("p", `,"nodeName":"n"`)), 201)
	must(t, do(t, s, "PATCH", pods+"/p/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`, "Content-Type", mergePatch), 200)
	const pdbs = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	must(t, do(t, s, "POST", pdbs, `{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"b"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"p"}}}}`), 201)
	must(t, do(t, s, "PATCH", pdbs+"/b/status", `{"status":{"observedGeneration":1,"disruptionsAllowed":0,"desiredHealthy":1,"currentHealthy":1,"expectedPods":1}}`, "Content-Type", mergePatch), 200)
	evict := func() answer {
		return do(t, s, "POST", pods+"/p/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p"}}`)
	}
	a := evict()
	if st := a.status(t); a.code != 429 || st.Details.Causes[0].Message != "The disruption budget b needs 1 healthy pods and has 1 currently" {
		t.Errorf("held: %d %s", a.code, a.body)
	}
	must(t, do(t, s, "PATCH", pdbs+"/b/status", `{"status":{"disruptionsAllowed":1}}`, "Content-Type", mergePatch), 200)
	must(t, evict(), 201)
	m := must(t, do(t, s, "GET", pods+"/p", ""), 200)
	if at(m, "metadata.deletionTimestamp") == nil || !strings.Contains(fmt.Sprint(at(m, "status.conditions")), "EvictionByEvictionAPI") {
		t.Errorf("evicted: %v", m)
	}
}

// TestEveryKind lists every stored kind in every encoding.
func TestEveryKind(t *testing.T) {
	s := apiservertest.Start(t)
	for _, gv := range groupVersions(t, s) {
		path := "/apis/" + gv
		if gv == "v1" {
			path = "/api/v1"
		}
		m := must(t, do(t, s, "GET", path, ""), 200)
		for _, r := range m["resources"].([]any) {
			res := r.(map[string]any)
			name := res["name"].(string)
			if strings.Contains(name, "/") || !strings.Contains(fmt.Sprint(res["verbs"]), "list") {
				continue
			}
			for _, accept := range []string{"application/json", "application/vnd.kubernetes.protobuf", "application/json;as=Table;v=v1;g=meta.k8s.io"} {
				if a := do(t, s, "GET", path+"/"+name, "", "Accept", accept); a.code != 200 {
					t.Errorf("%s/%s as %s: %d %s", path, name, accept, a.code, a.body)
				}
			}
		}
	}
}

func groupVersions(t *testing.T, s *apiservertest.Server) []string {
	t.Helper()
	out := []string{"v1"}
	m := must(t, do(t, s, "GET", "/apis", "", "Accept", "application/json"), 200)
	for _, g := range m["groups"].([]any) {
		for _, v := range g.(map[string]any)["versions"].([]any) {
			out = append(out, v.(map[string]any)["groupVersion"].(string))
		}
	}
	return out
}
