package differential

import (
	"strings"
	"time"
)

// admitted is what the built-in plugins do to objects, and what allocation does to Services.
func admitted(p *Pair) {
	p.namespace("admit")
	pod := func(name, spec string) string {
		return `{"metadata":{"name":"` + name + `"},"spec":{"containers":[{"name":"c","image":"registry.example/x:1"}]` + spec + `}}`
	}
	p.tell("admit", "admit", []do{
		{"limits", "POST", "$NS/limitranges", `{"metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","default":{"cpu":"500m"},"defaultRequest":{"cpu":"100m"},"max":{"cpu":"1"},"min":{"cpu":"50m"}},{"type":"Pod","max":{"memory":"1Gi"}}]}}`, "", "", nil},
		{"pod gets limits", "POST", "$NS/pods?dryRun=All", pod("a", ""), "", "", nil},
		{"pod over limits", "POST", "$NS/pods?dryRun=All", `{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x","resources":{"limits":{"cpu":"2"}}}]}}`, "", "", nil},
		{"pod under limits", "POST", "$NS/pods?dryRun=All", `{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x","resources":{"requests":{"cpu":"10m"}}}]}}`, "", "", nil},
		{"no limits", "DELETE", "$NS/limitranges/l", "", "", "", nil},
	})
	p.until(Request{Method: "POST", Path: "/api/v1/namespaces/admit/pods?dryRun=All", Body: `{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x"}]}}`}, `"kind":"Pod"`)
	p.tell("admit", "admit", []do{
		{"quota", "POST", "$NS/resourcequotas", `{"metadata":{"name":"q"},"spec":{"hard":{"pods":"1","count/configmaps":"2","services.nodeports":"1"}}}`, "", "", nil},
		{"quota status", "PATCH", "$NS/resourcequotas/q/status", `{"status":{"hard":{"pods":"1","count/configmaps":"2","services.nodeports":"1"},"used":{"pods":"0","count/configmaps":"0","services.nodeports":"0"}}}`, mergeType, "", nil},
		{"later quota", "POST", "$NS/resourcequotas", `{"metadata":{"name":"later"},"spec":{"hard":{"count/secrets":"0"}}}`, "", "", nil},
		{"later quota status", "PATCH", "$NS/resourcequotas/later/status", `{"status":{"hard":{"count/secrets":"0"},"used":{"count/secrets":"0"}}}`, mergeType, "", nil},
	})
	// Upstream looks at quotas through an informer: what it has seen of the later one it has seen of the other.
	p.until(Request{Method: "POST", Path: "/api/v1/namespaces/admit/secrets?dryRun=All", Body: `{"metadata":{"name":"a"}}`}, `exceeded quota: later`)
	p.tell("admit", "admit", []do{
		{"no later quota", "DELETE", "$NS/resourcequotas/later", "", "", "", nil},
		{"first", "POST", "$NS/configmaps", `{"metadata":{"name":"one"}}`, "", "", nil}, {"second", "POST", "$NS/configmaps", `{"metadata":{"name":"two"}}`, "", "", nil},
		{"third", "POST", "$NS/configmaps", `{"metadata":{"name":"three"}}`, "", "", nil}, {"quota used", "GET", "$NS/resourcequotas/q", "", "", "", nil},
		{"no quota", "DELETE", "$NS/resourcequotas/q", "", "", "", nil},
		{"unknown priority", "POST", "$NS/pods?dryRun=All", pod("a", `,"priorityClassName":"none"`), "", "", nil},
		{"system priority", "POST", "$NS/pods?dryRun=All", pod("a", `,"priorityClassName":"system-node-critical"`), "", "", nil},
		{"wrong priority", "POST", "$NS/pods?dryRun=All", pod("a", `,"priority":7`), "", "", nil},
		{"unknown runtime class", "POST", "$NS/pods?dryRun=All", pod("a", `,"runtimeClassName":"none"`), "", "", nil},
		{"unknown account", "POST", "$NS/pods?dryRun=All", pod("a", `,"serviceAccountName":"none"`), "", "", nil},
		{"no token", "POST", "$NS/pods?dryRun=All", pod("a", `,"automountServiceAccountToken":false`), "", "", nil},
		{"mirror pod", "POST", "$NS/pods?dryRun=All", `{"metadata":{"name":"a","annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{"containers":[{"name":"c","image":"x"}]}}`, "", "", nil},
		{"enforce", "PATCH", "/api/v1/namespaces/admit", `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/warn":"restricted"}}}`, mergeType, "", nil},
	})
	p.until(Request{Method: "POST", Path: "/api/v1/namespaces/admit/pods?dryRun=All", Body: `{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x"}]}}`}, "PodSecurity")
	p.tell("admit", "admit", []do{
		{"privileged pod", "POST", "$NS/pods?dryRun=All", `{"metadata":{"name":"a"},"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"x","securityContext":{"privileged":true}}]}}`, "", "", nil},
		{"plain pod", "POST", "$NS/pods?dryRun=All", pod("a", ""), "", "", nil},
		{"warned deployment", "POST", "/apis/apps/v1/namespaces/admit/deployments?dryRun=All", `{"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}}`, "", "", nil},
		{"odd level", "PATCH", "/api/v1/namespaces/admit", `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"odd"}}}`, mergeType, "", nil},
		{"claim without class", "POST", "$NS/persistentvolumeclaims", `{"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`, "", "", nil},
		{"class", "POST", "/apis/storage.k8s.io/v1/storageclasses", `{"metadata":{"name":"usual","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"example.com/x"}`, "", "", nil},
	})
	p.until(Request{Method: "POST", Path: "/api/v1/namespaces/admit/persistentvolumeclaims?dryRun=All", Body: `{"metadata":{"name":"e"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`}, `"storageClassName":"usual"`)
	p.tell("admit", "admit", []do{
		{"claim with class", "POST", "$NS/persistentvolumeclaims", `{"metadata":{"name":"d"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}`, "", "", nil},
		{"claim grows", "PATCH", "$NS/persistentvolumeclaims/d", `{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}`, mergeType, "", nil},
		{"no class", "DELETE", "/apis/storage.k8s.io/v1/storageclasses/usual", "", "", "", nil},
		{"claim protected", "DELETE", "$NS/persistentvolumeclaims/d", "", "", "", nil},
	})
	services(p)
	p.tell("admit/end", "admit", []do{
		{"delete namespace", "DELETE", "/api/v1/namespaces/admit", "", "", "", nil}, {"delete again", "DELETE", "/api/v1/namespaces/admit", "", "", "", nil},
		{"create in terminating", "POST", "$NS/configmaps", `{"metadata":{"name":"late"}}`, "", "", nil}, {"update in terminating", "PATCH", "$NS/configmaps/one", `{"data":{"a":"b"}}`, mergeType, "", nil},
		{"delete default", "DELETE", "/api/v1/namespaces/default", "", "", "", nil}, {"delete kube-system", "DELETE", "/api/v1/namespaces/kube-system", "", "", "", nil},
	})
}

// until asks upstream again until its answer holds a text: its admission learns of objects a moment after they are made.
func (p *Pair) until(r Request, text string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if _, theirs := p.both(p.t.Context(), r); strings.Contains(string(theirs.Raw), text) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s %s: upstream never answers %s", r.Method, r.Path, text)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func services(p *Pair) {
	svc := func(name, spec string) string {
		return `{"metadata":{"name":"` + name + `"},"spec":{"ports":[{"port":80}]` + spec + `}}`
	}
	p.tell("admit/service", "admit", []do{
		{"plain", "POST", "$NS/services", svc("plain", ""), "", "", map[string]string{"ip": "spec.clusterIP"}},
		{"same address", "POST", "$NS/services", svc("same", `,"clusterIP":"${ip}"`), "", "", nil},
		{"given address", "POST", "$NS/services", svc("given", `,"clusterIP":"10.97.77.7"`), "", "", nil},
		{"outside", "POST", "$NS/services", svc("outside", `,"clusterIP":"10.1.1.1"`), "", "", nil}, {"odd address", "POST", "$NS/services", svc("odd", `,"clusterIP":"x"`), "", "", nil},
		{"headless", "POST", "$NS/services", svc("headless", `,"clusterIP":"None"`), "", "", nil}, {"external", "POST", "$NS/services", svc("external", `,"type":"ExternalName","externalName":"a.example"`), "", "", nil},
		{"node port", "POST", "$NS/services", `{"metadata":{"name":"np"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30123}]}}`, "", "", nil},
		{"same node port", "POST", "$NS/services", `{"metadata":{"name":"np2"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30123}]}}`, "", "", nil},
		{"odd node port", "POST", "$NS/services", `{"metadata":{"name":"np3"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":80}]}}`, "", "", nil},
		{"balancer", "POST", "$NS/services", svc("lb", `,"type":"LoadBalancer","externalTrafficPolicy":"Local"`), "", "", nil},
		{"balancer to cluster", "PATCH", "$NS/services/lb", `{"spec":{"type":"ClusterIP","externalTrafficPolicy":null}}`, mergeType, "", nil},
		{"to external", "PATCH", "$NS/services/plain", `{"spec":{"type":"ExternalName","externalName":"b.example","clusterIP":null,"clusterIPs":null}}`, mergeType, "", nil},
		{"address changes", "PATCH", "$NS/services/given", `{"spec":{"clusterIP":"10.97.77.8"}}`, mergeType, "", nil},
		{"dual stack", "POST", "$NS/services", svc("dual", `,"ipFamilyPolicy":"RequireDualStack"`), "", "", nil}, {"prefer dual", "POST", "$NS/services", svc("prefer", `,"ipFamilyPolicy":"PreferDualStack"`), "", "", nil},
		{"second family", "POST", "$NS/services", svc("six", `,"ipFamilies":["IPv6"]`), "", "", nil},
		{"its address", "GET", "/apis/networking.k8s.io/v1/ipaddresses/10.97.77.7", "", "", "", nil},
		{"delete", "DELETE", "$NS/services/given", "", "", "", nil}, {"its address after", "GET", "/apis/networking.k8s.io/v1/ipaddresses/10.97.77.7", "", "", "", nil},
	})
}
