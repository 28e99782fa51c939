package differential

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
)

// applies is server-side apply told as stories, and then at random.
func applies(p *Pair, seed uint64) {
	p.namespace("applies")
	p.upgrades()
	p.shared()
	d := applyDice{rand.New(rand.NewPCG(seed, 5))}
	for i := range 700 {
		p.Ask(fmt.Sprintf("apply/random/%d/%d", seed, i), d.request())
	}
}

const deployments = "/apis/apps/v1/namespaces/applies/deployments"

// upgrades are objects of client-side apply that are applied on the server from then on.
func (p *Pair) upgrades() {
	config := func(replicas int, label, last string) string {
		annotation := ""
		if last != "" {
			annotation = fmt.Sprintf(`,"annotations":{"kubectl.kubernetes.io/last-applied-configuration":%q}`, last)
		}
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"up","labels":{%q:"yes"}%s},"spec":{"replicas":%d,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x:1"}]}}}}`, label, annotation, replicas)
	}
	last := config(1, "old", "")
	for _, manager := range []string{"kubectl-client-side-apply", "kubectl", "other"} {
		p.tell("apply/upgrade "+manager, "applies", []do{
			{"create", "POST", deployments + "?fieldManager=" + manager, config(1, "old", last), "", "", nil},
			{"apply as kubectl", "PATCH", deployments + "/up?fieldManager=kubectl", config(2, "new", ""), applyType, "", nil},
			{"apply less", "PATCH", deployments + "/up?fieldManager=kubectl", config(2, "newer", ""), applyType, "", nil},
			{"client side again", "PATCH", deployments + "/up?fieldManager=" + manager, fmt.Sprintf(`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":%q}},"spec":{"replicas":5}}`, config(5, "old", "")), strategic, "", nil},
			{"apply again", "PATCH", deployments + "/up?fieldManager=kubectl", config(2, "new", ""), applyType, "", nil},
			{"forced", "PATCH", deployments + "/up?fieldManager=kubectl&force=true", config(2, "new", ""), applyType, "", nil},
			{"annotation by apply", "PATCH", deployments + "/up?fieldManager=kubectl&force=true", config(2, "new", last), applyType, "", nil},
			{"fields cleared", "PATCH", deployments + "/up", `{"metadata":{"managedFields":[{}]}}`, mergeType, "", nil},
			{"apply without fields", "PATCH", deployments + "/up?fieldManager=kubectl", config(3, "new", ""), applyType, "", nil},
			{"fields emptied", "PATCH", deployments + "/up", `{"metadata":{"managedFields":[]}}`, mergeType, "", nil},
			{"fields null", "PATCH", deployments + "/up", `{"metadata":{"managedFields":null}}`, mergeType, "", nil},
			{"delete", "DELETE", deployments + "/up?propagationPolicy=Background", "", "", "", nil},
		})
	}
}

// shared are fields of several managers, through versions and subresources.
func (p *Pair) shared() {
	const hpa1, hpa2 = "/apis/autoscaling/v1/namespaces/applies/horizontalpodautoscalers", "/apis/autoscaling/v2/namespaces/applies/horizontalpodautoscalers"
	base := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x:1"}]}}}}`
	scale := func(n int) string {
		return fmt.Sprintf(`{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"s"},"spec":{"replicas":%d}}`, n)
	}
	p.tell("apply/shared", "applies", []do{
		{"make", "PATCH", deployments + "/s?fieldManager=a", base, applyType, "", nil},
		{"scale by apply", "PATCH", deployments + "/s/scale?fieldManager=scaler", scale(3), applyType, "", nil},
		{"scale conflict", "PATCH", deployments + "/s/scale?fieldManager=other", scale(4), applyType, "", nil},
		{"scale forced", "PATCH", deployments + "/s/scale?fieldManager=other&force=true", scale(4), applyType, "", nil},
		{"scale by merge", "PATCH", deployments + "/s/scale?fieldManager=merger", `{"spec":{"replicas":5}}`, mergeType, "", nil},
		{"scale by put", "PUT", deployments + "/s/scale?fieldManager=putter", scale(6), "", "", nil},
		{"scale dry", "PUT", deployments + "/s/scale?fieldManager=putter&dryRun=All", scale(9), "", "", nil},
		{"scale negative", "PUT", deployments + "/s/scale", scale(-1), "", "", nil},
		{"scale other name", "PUT", deployments + "/s/scale", `{"metadata":{"name":"x"},"spec":{"replicas":1}}`, "", "", nil},
		{"scale stale", "PUT", deployments + "/s/scale", `{"metadata":{"name":"s","resourceVersion":"1"},"spec":{"replicas":1}}`, "", "", nil},
		{"scale other kind", "PUT", deployments + "/s/scale", base, "", "", nil},
		{"scale strict", "PATCH", deployments + "/s/scale?fieldValidation=Strict", `{"spec":{"replicas":1,"odd":1}}`, mergeType, "", nil},
		{"scale json", "PATCH", deployments + "/s/scale", `[{"op":"replace","path":"/spec/replicas","value":2}]`, jsonPatch, "", nil},
		{"scale nobody", "PATCH", deployments + "/nobody/scale", `{"spec":{"replicas":1}}`, mergeType, "", nil},
		{"scale get", "GET", deployments + "/s/scale", "", "", "", nil},
		{"status by apply", "PATCH", deployments + "/s/status?fieldManager=st", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s","labels":{"x":"y"}},"spec":{"replicas":9},"status":{"replicas":2,"conditions":[{"type":"Available","status":"True"}]}}`, applyType, "", nil},
		{"status condition", "PATCH", deployments + "/s/status?fieldManager=st2", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"status":{"conditions":[{"type":"Progressing","status":"True"}]}}`, applyType, "", nil},
		{"status taken back", "PATCH", deployments + "/s/status?fieldManager=st", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"status":{}}`, applyType, "", nil},
		{"status by main", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"status":{"replicas":9}}`, applyType, "", nil},
		{"status nobody", "PATCH", deployments + "/nobody/status?fieldManager=st", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"nobody"},"status":{"replicas":2}}`, applyType, "", nil},
		{"put same", "PUT", deployments + "/s?fieldManager=a", base, "", "", nil},
		{"other uid", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s","uid":"11111111-2222-3333-4444-555555555555"}}`, applyType, "", nil},
		{"uid of nobody", "PATCH", deployments + "/t?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"t","uid":"11111111-2222-3333-4444-555555555555"}}`, applyType, "", nil},
		{"stale", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s","resourceVersion":"1"}}`, applyType, "", nil},
		{"managed fields", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s","managedFields":[{"manager":"x","operation":"Apply"}]}}`, applyType, "", nil},
		{"other name", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"t"}}`, applyType, "", nil},
		{"no name", "PATCH", deployments + "/s?fieldManager=a&dryRun=All", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{}}`, applyType, "", nil},
		{"other kind", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"s"}}`, applyType, "", nil},
		{"other version", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1beta1","kind":"Deployment","metadata":{"name":"s"}}`, applyType, "", nil},
		{"unknown field", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"spec":{"odd":1}}`, applyType, "", nil},
		{"unknown field, ignored", "PATCH", deployments + "/s?fieldManager=a&fieldValidation=Ignore&dryRun=All", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"spec":{"odd":1}}`, applyType, "", nil},
		{"wrong type", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"spec":{"replicas":"x"}}`, applyType, "", nil},
		{"twice", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"spec":{"template":{"spec":{"containers":[{"name":"c"},{"name":"c"}]}}}}`, applyType, "", nil},
		{"no key", "PATCH", deployments + "/s?fieldManager=a", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"s"},"spec":{"template":{"spec":{"containers":[{"image":"c"}]}}}}`, applyType, "", nil},
		{"no yaml", "PATCH", deployments + "/s?fieldManager=a", "a: [", applyType, "", nil}, {"list", "PATCH", deployments + "/s?fieldManager=a", "[]", applyType, "", nil},
		{"two documents", "PATCH", deployments + "/s?fieldManager=a", base + "\n---\n" + base, applyType, "", nil},
		{"force without apply", "PATCH", deployments + "/s?force=true", `{}`, mergeType, "", nil},
		{"odd force", "PATCH", deployments + "/s?force=x&fieldManager=a", base, applyType, "", nil},
		{"hpa by v2", "PATCH", hpa2 + "/h?fieldManager=two", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"s"},"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]}}`, applyType, "", nil},
		{"hpa by v1", "PATCH", hpa1 + "/h?fieldManager=one", `{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"targetCPUUtilizationPercentage":60}}`, applyType, "", nil},
		{"hpa by v1, forced", "PATCH", hpa1 + "/h?fieldManager=one&force=true", `{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"targetCPUUtilizationPercentage":60}}`, applyType, "", nil},
		{"hpa by v2 again", "PATCH", hpa2 + "/h?fieldManager=two&force=true", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":4,"scaleTargetRef":{"kind":"Deployment","name":"s"}}}`, applyType, "", nil},
		{"hpa merged in v1", "PATCH", hpa1 + "/h?fieldManager=three", `{"spec":{"minReplicas":2}}`, mergeType, "", nil},
		{"hpa in v1", "GET", hpa1 + "/h", "", "", "", nil}, {"hpa in v2", "GET", hpa2 + "/h", "", "", "", nil},
	})
}

// applyDice throw writes to Deployments and Services by few managers, in parts that overlap.
type applyDice struct{ *rand.Rand }

func (d applyDice) of(list ...string) string { return list[d.IntN(len(list))] }

func (d applyDice) request() Request {
	name := d.of("x", "y")
	one := deployments + "/" + name
	manager := d.of("a", "b", "c")
	switch d.IntN(10) {
	case 0:
		return Request{Method: http.MethodPatch, Path: one + "?fieldManager=" + manager, Type: d.of(mergeType, strategic), Body: text(d.deployment(name))}
	case 1:
		return Request{Method: http.MethodPut, Path: one + "?fieldManager=" + manager, Body: text(d.deployment(name))}
	case 2:
		return Request{Method: http.MethodPatch, Path: one + "/scale?fieldManager=" + manager + d.of("", "&force=true"), Type: applyType, Body: fmt.Sprintf(`{"apiVersion":"autoscaling/v1","kind":"Scale","spec":{"replicas":%d}}`, d.IntN(3))}
	case 3:
		return Request{Method: http.MethodPatch, Path: one + "/status?fieldManager=" + manager + d.of("", "&force=true"), Type: applyType, Body: text(map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name},
			"status": map[string]any{"conditions": []any{map[string]any{"type": d.of("P", "Q"), "status": d.of("True", "False")}}}})}
	case 4:
		if d.IntN(4) == 0 {
			return Request{Method: http.MethodDelete, Path: one}
		}
		return Request{Method: http.MethodGet, Path: one}
	}
	return Request{Method: http.MethodPatch, Path: one + "?fieldManager=" + manager + d.of("", "", "&force=true", "&force=true", "&dryRun=All"), Type: applyType, Body: text(d.deployment(name))}
}

func (d applyDice) maybe(m map[string]any, name string, v func() any) {
	if d.IntN(2) == 0 {
		m[name] = v()
	}
}

func (d applyDice) deployment(name string) map[string]any {
	container := func(name string) any {
		c := map[string]any{"name": name, "image": "x:" + d.of("1", "2")}
		d.maybe(c, "env", func() any { return d.named(func() map[string]any { return map[string]any{"value": d.of("1", "2")} }) })
		d.maybe(c, "args", func() any { return []any{d.of("1", "2")} })
		d.maybe(c, "ports", func() any {
			port := map[string]any{"containerPort": 80 + d.IntN(2)}
			d.maybe(port, "protocol", func() any { return d.of("TCP", "UDP") })
			d.maybe(port, "name", func() any { return d.of("http", "web") })
			return []any{port}
		})
		d.maybe(c, "resources", func() any {
			return map[string]any{"limits": map[string]any{d.of("cpu", "memory"): d.of("1", "1000m", "2")}}
		})
		d.maybe(c, "command", func() any { return nil })
		return c
	}
	containers := []any{container("main")}
	if d.IntN(3) == 0 {
		containers = append(containers, container("side"))
	}
	pod := map[string]any{"containers": containers}
	d.maybe(pod, "tolerations", func() any { return []any{map[string]any{"key": d.of("a", "b"), "operator": "Exists"}} })
	d.maybe(pod, "nodeSelector", func() any { return map[string]any{d.of("a", "b"): d.of("1", "2")} })
	d.maybe(pod, "volumes", func() any {
		return d.named(func() map[string]any { return map[string]any{"emptyDir": map[string]any{}} })
	})
	d.maybe(pod, "imagePullSecrets", func() any { return d.named(func() map[string]any { return nil }) })
	d.maybe(pod, "hostAliases", func() any { return []any{map[string]any{"ip": "1.1.1.1", "hostnames": []any{d.of("a", "b")}}} })
	d.maybe(pod, "topologySpreadConstraints", func() any {
		return []any{map[string]any{"topologyKey": d.of("a", "b"), "maxSkew": 1 + d.IntN(2), "whenUnsatisfiable": d.of("DoNotSchedule", "ScheduleAnyway")}}
	})
	spec := map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": "x"}}, "template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "x"}}, "spec": pod}}
	d.maybe(spec, "replicas", func() any { return d.IntN(3) })
	d.maybe(spec, "strategy", func() any { return map[string]any{"rollingUpdate": map[string]any{"maxSurge": d.of("25%", "1")}} })
	if d.IntN(4) == 0 {
		spec = map[string]any{}
		d.maybe(spec, "replicas", func() any { return d.IntN(3) })
	}
	meta := map[string]any{"name": name}
	d.maybe(meta, "labels", func() any { return map[string]any{d.of("a", "b"): d.of("1", "2")} })
	d.maybe(meta, "annotations", func() any { return map[string]any{d.of("a", "b"): d.of("1", "2")} })
	d.maybe(meta, "finalizers", func() any { return []any{"example.com/" + d.of("a", "b")} })
	d.maybe(meta, "ownerReferences", func() any {
		return []any{map[string]any{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": d.of("11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-555555555556")}}
	})
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
}

// named is a list of one or two things with names.
func (d applyDice) named(more func() map[string]any) any {
	one := func(name string) any {
		m := map[string]any{"name": name}
		maps.Copy(m, more())
		return m
	}
	if d.IntN(2) == 0 {
		return []any{one(d.of("a", "b"))}
	}
	return []any{one("b"), one("a")}
}
