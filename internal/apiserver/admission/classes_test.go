package admission

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPriority(t *testing.T) {
	never := corev1.PreemptNever
	w := func() *world {
		w := plain().With(priorityClasses, &schedulingv1.PriorityClass{ObjectMeta: named("", "high"), Value: 100, PreemptionPolicy: &never})
		return &w
	}
	marked := w().With(priorityClasses, &schedulingv1.PriorityClass{ObjectMeta: named("", "usual"), Value: 7, GlobalDefault: true})
	for _, c := range []struct {
		what   string
		w      world
		class  string
		set    *int32
		want   int32
		policy corev1.PreemptionPolicy
		err    string
	}{
		{"none", *w(), "", nil, 0, corev1.PreemptLowerPriority, ""},
		{"named", *w(), "high", nil, 100, never, ""},
		{"default", marked, "", nil, 7, "", ""},
		{"same number", *w(), "high", new(int32(100)), 100, never, ""},
		{"other number", *w(), "high", new(int32(5)), 0, "", "the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 100"},
		{"unknown", *w(), "low", nil, 0, "", "no PriorityClass with name low was found"},
	} {
		p := pod(func(p *corev1.Pod) { p.Spec.PriorityClassName, p.Spec.Priority = c.class, c.set })
		err := run(c.w, create(pods, p))
		expect(t, c.what, err, c.err)
		if err == nil && (*p.Spec.Priority != c.want || c.policy != "" && *p.Spec.PreemptionPolicy != c.policy) {
			t.Errorf("%s: %d %v", c.what, *p.Spec.Priority, p.Spec.PreemptionPolicy)
		}
	}
	second := &schedulingv1.PriorityClass{ObjectMeta: named("", "second"), GlobalDefault: true}
	expect(t, "second default", run(marked, create(priorityClasses, second)), "PriorityClass usual is already marked as default")
}

func TestDefaultClasses(t *testing.T) {
	mark := func(name, annotation string, age time.Duration) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Annotations: map[string]string{annotation: "true"}, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))}
	}
	const sc, ic = "storageclass.kubernetes.io/is-default-class", networkingv1.AnnotationIsDefaultIngressClass
	w := plain().With(storageClasses, &storagev1.StorageClass{ObjectMeta: mark("old", sc, time.Hour)}, &storagev1.StorageClass{ObjectMeta: mark("new-b", sc, 0)},
		&storagev1.StorageClass{ObjectMeta: mark("new-a", sc, 0)}, &storagev1.StorageClass{ObjectMeta: named("", "other")}).
		With(networkingv1.Resource("ingressclasses"), &networkingv1.IngressClass{ObjectMeta: mark("nginx", ic, 0)})
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: named("a", "c")}
	expect(t, "claim", run(w, create(claims, claim)), "")
	if claimClass(claim) != "new-a" || len(claim.Finalizers) != 1 || claim.Finalizers[0] != "kubernetes.io/pvc-protection" {
		t.Errorf("%q %v", claimClass(claim), claim.Finalizers)
	}
	none := ""
	claim = &corev1.PersistentVolumeClaim{ObjectMeta: named("a", "c"), Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &none}}
	expect(t, "no class asked for", run(w, create(claims, claim)), "")
	if *claim.Spec.StorageClassName != "" {
		t.Error(*claim.Spec.StorageClassName)
	}
	ing := &networkingv1.Ingress{ObjectMeta: named("a", "i")}
	expect(t, "ingress", run(w, create(networkingv1.Resource("ingresses"), ing)), "")
	if *ing.Spec.IngressClassName != "nginx" {
		t.Error(*ing.Spec.IngressClassName)
	}
	pv := &corev1.PersistentVolume{ObjectMeta: named("", "v")}
	expect(t, "volume", run(w, create(volumes, pv)), "")
	if pv.Finalizers[0] != "kubernetes.io/pv-protection" {
		t.Error(pv.Finalizers)
	}
}

func TestClaimResize(t *testing.T) {
	yes := true
	w := plain().With(storageClasses, &storagev1.StorageClass{ObjectMeta: named("", "grows"), AllowVolumeExpansion: &yes}, &storagev1.StorageClass{ObjectMeta: named("", "fixed")})
	claim := func(class, size string, phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: named("a", "c"), Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse(size)}}}, Status: corev1.PersistentVolumeClaimStatus{Phase: phase}}
	}
	for _, c := range []struct{ what, class, from, to, phase, err string }{
		{"grows", "grows", "1Gi", "2Gi", "Bound", ""},
		{"same", "fixed", "1Gi", "1Gi", "Bound", ""},
		{"fixed", "fixed", "1Gi", "2Gi", "Bound", "only dynamically provisioned pvc can be resized"},
		{"pending", "grows", "1Gi", "2Gi", "Pending", "Only bound persistent volume claims can be expanded"},
	} {
		phase := corev1.PersistentVolumeClaimPhase(c.phase)
		expect(t, c.what, run(w, update(claims, "", claim(c.class, c.to, phase), claim(c.class, c.from, phase))), c.err)
	}
}

func TestRuntimeClass(t *testing.T) {
	w := plain().With(nodev1.Resource("runtimeclasses"), &nodev1.RuntimeClass{ObjectMeta: named("", "vm"), Overhead: &nodev1.Overhead{PodFixed: corev1.ResourceList{"cpu": resource.MustParse("1")}},
		Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"vm": "yes"}, Tolerations: []corev1.Toleration{{Key: "vm"}}}})
	of := func(name string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.RuntimeClassName = &name } }
	p := pod(of("vm"))
	expect(t, "vm", run(w, create(pods, p)), "")
	if cpu := p.Spec.Overhead["cpu"]; cpu.String() != "1" || p.Spec.NodeSelector["vm"] != "yes" || p.Spec.Tolerations[len(p.Spec.Tolerations)-1].Key != "vm" {
		t.Errorf("%+v", p.Spec)
	}
	expect(t, "unknown", run(w, create(pods, pod(of("none")))), `pod rejected: RuntimeClass "none" not found`)
	expect(t, "other node", run(w, create(pods, pod(of("vm"), func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"vm": "no"} }))), "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes")
	overhead := corev1.ResourceList{"cpu": resource.MustParse("2")}
	expect(t, "own overhead", run(w, create(pods, pod(func(p *corev1.Pod) { p.Spec.Overhead = overhead }))), "Pod Overhead set without corresponding RuntimeClass")
	expect(t, "other overhead", run(w, create(pods, pod(of("vm"), func(p *corev1.Pod) { p.Spec.Overhead = overhead }))), "doesn't match RuntimeClass's defined Overhead")
}

func csr(t *testing.T, signer, cn string, groups ...string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn, Organization: groups}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: named("", "r"), Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: signer,
		Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}}
}

func TestCertificates(t *testing.T) {
	w := plain()
	x, y, other := csr(t, "example.com/x", "u"), csr(t, "example.com/y", "u"), csr(t, "other.com/x", "u")
	expect(t, "approve domain", run(w, update(signingRequests, "approval", x, x)), "")
	expect(t, "approve other", run(w, update(signingRequests, "approval", other, other)), `user not permitted to approve requests with signerName "other.com/x"`)
	signed := func(r *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequest {
		r = r.DeepCopy()
		r.Status.Certificate = []byte("x")
		return r
	}
	expect(t, "sign", run(w, update(signingRequests, "status", signed(x), x)), "")
	expect(t, "sign other", run(w, update(signingRequests, "status", signed(y), y)), `user not permitted to sign requests with signerName "example.com/y"`)
	expect(t, "status unchanged", run(w, update(signingRequests, "status", y, y)), "")
	expect(t, "masters", run(w, create(signingRequests, csr(t, certificatesv1.KubeAPIServerClientSignerName, "u", "system:masters"))),
		"use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed")
	expect(t, "others", run(w, create(signingRequests, csr(t, certificatesv1.KubeAPIServerClientSignerName, "u", "devs"))), "")
}
