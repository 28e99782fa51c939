package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func amounts(s ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(s); i += 2 {
		l[corev1.ResourceName(s[i])] = resource.MustParse(s[i+1])
	}
	return l
}

func sized(requests, limits corev1.ResourceList) *corev1.Pod {
	return pod(func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: requests, Limits: limits}
	})
}

func TestLimitRanger(t *testing.T) {
	limits := func(item corev1.LimitRangeItem) world {
		return plain().With(corev1.Resource("limitranges"), &corev1.LimitRange{ObjectMeta: named("a", "l"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}}})
	}
	defaults := limits(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: amounts("cpu", "2"), DefaultRequest: amounts("cpu", "1", "memory", "1Gi")})
	p := sized(amounts("cpu", "500m"), nil)
	expect(t, "defaults", run(defaults, create(pods, p)), "")
	r := p.Spec.Containers[0].Resources
	if r.Requests.Cpu().String() != "500m" || r.Requests.Memory().String() != "1Gi" || r.Limits.Cpu().String() != "2" {
		t.Errorf("%+v", r)
	}
	if got := p.Annotations[limitRangerAnnotation]; got != "LimitRanger plugin set: memory request for container c; cpu limit for container c" {
		t.Error(got)
	}
	container := func(min, max, ratio corev1.ResourceList) world {
		return limits(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Min: min, Max: max, MaxLimitRequestRatio: ratio})
	}
	for _, c := range []struct {
		what string
		w    world
		p    *corev1.Pod
		err  string
	}{
		{"min", container(amounts("cpu", "1"), nil, nil), sized(amounts("cpu", "1"), nil), ""},
		{"under min", container(amounts("cpu", "1"), nil, nil), sized(amounts("cpu", "500m"), nil), `pods "p" is forbidden: minimum cpu usage per Container is 1, but request is 500m`},
		{"no request", container(amounts("cpu", "1"), nil, nil), sized(nil, nil), "minimum cpu usage per Container is 1.  No request is specified"},
		{"over max", container(nil, amounts("memory", "1Gi"), nil), sized(nil, amounts("memory", "2Gi")), "maximum memory usage per Container is 1Gi, but limit is 2Gi"},
		{"no limit", container(nil, amounts("memory", "1Gi"), nil), sized(nil, nil), "maximum memory usage per Container is 1Gi.  No limit is specified"},
		{"ratio", container(nil, nil, amounts("cpu", "2")), sized(amounts("cpu", "1"), amounts("cpu", "3")), "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"},
		{"pod", limits(corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: amounts("cpu", "1")}), sized(nil, amounts("cpu", "2")), "maximum cpu usage per Pod is 1, but limit is 2"},
	} {
		expect(t, c.what, run(c.w, create(pods, c.p)), c.err)
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: named("a", "c"), Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: amounts("storage", "2Gi")}}}
	expect(t, "claim", run(limits(corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Max: amounts("storage", "1Gi")}), create(claims, claim)),
		"maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi")
}

func quota(scopes []corev1.ResourceQuotaScope, hard ...string) *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: amounts(hard...), Scopes: scopes}}
}

func TestResourceQuota(t *testing.T) {
	services := corev1.Resource("services")
	nodePort := &corev1.Service{ObjectMeta: named("a", "s"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: make([]corev1.ServicePort, 2)}}
	class := "fast"
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: named("a", "c"), Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class,
		Resources: corev1.VolumeResourceRequirements{Requests: amounts("storage", "2Gi")}}}
	best := []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}
	for _, c := range []struct {
		what string
		q    *corev1.ResourceQuota
		a    *Attributes
		err  string
	}{
		{"within", quota(nil, "pods", "1"), create(pods, pod()), ""},
		{"pods", quota(nil, "pods", "0"), create(pods, pod()), `pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0`},
		{"count", quota(nil, "count/pods", "0"), create(pods, pod()), "requested: count/pods=1"},
		{"cpu", quota(nil, "requests.cpu", "1"), create(pods, sized(amounts("cpu", "2"), nil)), "exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1"},
		{"unspecified", quota(nil, "limits.memory", "1Gi"), create(pods, pod()), "failed quota: q: must specify limits.memory for: c"},
		{"gpu", quota(nil, "requests.example.com/gpu", "1"), create(pods, sized(amounts("example.com/gpu", "2"), amounts("example.com/gpu", "2"))), "requested: requests.example.com/gpu=2"},
		{"in scope", quota(best, "pods", "0"), create(pods, pod()), "exceeded quota"},
		{"out of scope", quota(best, "pods", "0"), create(pods, sized(amounts("cpu", "1"), nil)), ""},
		{"node ports", quota(nil, "services.nodeports", "1"), create(services, nodePort), "requested: services.nodeports=2"},
		{"services", quota(nil, "services", "0"), create(services, nodePort), "requested: services=1"},
		{"storage", quota(nil, "requests.storage", "1Gi"), create(claims, claim.DeepCopy()), "requested: requests.storage=2Gi"},
		{"storage of class", quota(nil, "fast.storageclass.storage.k8s.io/requests.storage", "1Gi"), create(claims, claim.DeepCopy()), "exceeded quota"},
		{"storage of another class", quota(nil, "slow.storageclass.storage.k8s.io/requests.storage", "1Gi"), create(claims, claim.DeepCopy()), ""},
		{"configmaps", quota(nil, "configmaps", "0"), create(corev1.Resource("configmaps"), &corev1.ConfigMap{ObjectMeta: named("a", "c")}), "requested: configmaps=1"},
		{"growing", quota(nil, "services.nodeports", "2"), update(services, "", &corev1.Service{ObjectMeta: named("a", "s"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: make([]corev1.ServicePort, 5)}}, nodePort), "requested: services.nodeports=3"},
	} {
		expect(t, c.what, run(plain().With(quotas, c.q), c.a), c.err)
	}
}

// TestQuotaStory fills a quota, is refused, makes room and comes in again. What others have charged and not stored yet is not
// forgotten: only the controller counts anew.
func TestQuotaStory(t *testing.T) {
	w := plain().With(quotas, quota(nil, "pods", "2"))
	pod := func(name string) *corev1.Pod { return pod(func(p *corev1.Pod) { p.Name = name }) }
	used := func() string {
		n := w[quotas][0].(*corev1.ResourceQuota).Status.Used["pods"]
		return n.String()
	}
	for _, name := range []string{"1", "2"} {
		p := pod(name)
		expect(t, name, run(w, create(pods, p)), "")
		w.With(pods, p)
	}
	if used() != "2" {
		t.Error("used ", used())
	}
	expect(t, "full", run(w, create(pods, pod("3"))), "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")
	w[pods] = w[pods][:1]
	expect(t, "full although one is not stored", run(w, create(pods, pod("3"))), "exceeded quota")
	count := func() {
		t.Helper()
		q := w[quotas][0].(*corev1.ResourceQuota)
		used, err := QuotaUsage(t.Context(), w, q)
		if err != nil {
			t.Fatal(err)
		}
		q.Status.Used = used
	}
	count()
	dry := create(pods, pod("dry"))
	dry.DryRun = true
	expect(t, "dry run after a deletion", run(w, dry), "")
	if used() != "1" {
		t.Error("a dry run was charged: ", used())
	}
	expect(t, "after a deletion", run(w, create(pods, pod("3"))), "")
	w[pods][0].(*corev1.Pod).Status.Phase = corev1.PodSucceeded
	count()
	expect(t, "after a pod has ended", run(w, create(pods, pod("4"))), "")
}
