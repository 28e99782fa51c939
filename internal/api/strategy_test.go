package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const podBody = `{"metadata":{"name":"p","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}`

func groupResource(group, version, name string) *Resource {
	return Find(schema.GroupVersionResource{Group: group, Version: version, Resource: name})
}

// update runs an update of old through sub ("" for the object itself) with what change does to a copy of it.
func update[T Object](t *testing.T, r *Resource, sub string, old T, change func(T)) (T, error) {
	t.Helper()
	old = old.DeepCopyObject().(T)
	old.SetResourceVersion("1")
	next := old.DeepCopyObject().(T)
	change(next)
	q := request(r, old.GetNamespace())
	q.Subresource = sub
	out, _, err := r.BeforeUpdate(context.Background(), q, next, old.DeepCopyObject().(Object))
	if err != nil {
		var none T
		return none, err
	}
	return out.(T), nil
}

func mustUpdate[T Object](t *testing.T, r *Resource, sub string, old T, change func(T)) T {
	t.Helper()
	out, err := update(t, r, sub, old, change)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), field) {
		t.Errorf("error %v, want Invalid about %s", err, field)
	}
}

func TestCreatePod(t *testing.T) {
	r := coreResource("pods")
	p := created(t, r, "ns", podBody).(*corev1.Pod)
	if p.Status.Phase != corev1.PodPending || p.Status.QOSClass != corev1.PodQOSBestEffort || p.Generation != 1 {
		t.Errorf("status %+v, generation %d", p.Status, p.Generation)
	}
	if p.Namespace != "ns" || p.UID == "" || p.CreationTimestamp.IsZero() {
		t.Errorf("metadata %+v", p.ObjectMeta)
	}
	if p.Spec.RestartPolicy != corev1.RestartPolicyAlways || *p.Spec.TerminationGracePeriodSeconds != 30 || p.Spec.SchedulerName != "default-scheduler" {
		t.Errorf("defaults are missing: %+v", p.Spec)
	}
}

func TestCreatePodIgnoresStatus(t *testing.T) {
	body := `{"metadata":{"generateName":"p-"},"spec":{"containers":[{"name":"c","image":"i"}]},"status":{"phase":"Running","podIP":"1.2.3.4"}}`
	p := created(t, coreResource("pods"), "ns", body).(*corev1.Pod)
	if p.Status.Phase != corev1.PodPending || p.Status.PodIP != "" || p.Name != "p-abcde" {
		t.Errorf("name %q, status %+v", p.Name, p.Status)
	}
}

func TestPodsMayBePrivileged(t *testing.T) {
	body := `{"metadata":{"name":"p"},"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i","securityContext":{"privileged":true}}]}}`
	created(t, coreResource("pods"), "ns", body)
}

func TestGatedPodSaysSo(t *testing.T) {
	body := `{"metadata":{"name":"p"},"spec":{"schedulingGates":[{"name":"wait"}],"containers":[{"name":"c","image":"i"}]}}`
	p := created(t, coreResource("pods"), "ns", body).(*corev1.Pod)
	if len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Reason != corev1.PodReasonSchedulingGated {
		t.Errorf("conditions %+v", p.Status.Conditions)
	}
}

func TestUpdatePodChangesOnlyWhatItMay(t *testing.T) {
	r := coreResource("pods")
	old := created(t, r, "ns", podBody).(*corev1.Pod)
	p := mustUpdate(t, r, "", old, func(p *corev1.Pod) {
		p.Spec.Containers[0].Image = "j"
		p.Status.Phase = corev1.PodRunning
		p.Generation = 99
	})
	if p.Spec.Containers[0].Image != "j" || p.Status.Phase != corev1.PodPending || p.Generation != 2 {
		t.Errorf("image %q phase %q generation %d", p.Spec.Containers[0].Image, p.Status.Phase, p.Generation)
	}
	_, err := update(t, r, "", old, func(p *corev1.Pod) { p.Spec.NodeName = "elsewhere" })
	wantInvalid(t, err, "spec: Forbidden: pod updates may not change fields other than")
}

func TestUpdatePodStatusKeepsSpec(t *testing.T) {
	r := coreResource("pods")
	old := created(t, r, "ns", podBody).(*corev1.Pod)
	old.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "u"}}
	p := mustUpdate(t, r, "status", old, func(p *corev1.Pod) {
		p.Spec.Containers[0].Image = "j"
		p.OwnerReferences = nil
		p.Status = corev1.PodStatus{Phase: corev1.PodRunning}
	})
	if p.Spec.Containers[0].Image != "i" || p.Status.Phase != corev1.PodRunning || len(p.OwnerReferences) != 1 {
		t.Errorf("image %q phase %q owners %v", p.Spec.Containers[0].Image, p.Status.Phase, p.OwnerReferences)
	}
	if p.Status.QOSClass != corev1.PodQOSBestEffort || p.Generation != 1 {
		t.Errorf("qos %q generation %d", p.Status.QOSClass, p.Generation)
	}
}

func TestEphemeralContainersAreAdded(t *testing.T) {
	r := coreResource("pods")
	old := created(t, r, "ns", podBody).(*corev1.Pod)
	p := mustUpdate(t, r, "ephemeralcontainers", old, func(p *corev1.Pod) {
		p.Spec.Containers[0].Image = "j"
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debug", Image: "d", ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		}}}
	})
	if len(p.Spec.EphemeralContainers) != 1 || p.Spec.Containers[0].Image != "i" || p.Generation != 2 {
		t.Errorf("%+v", p.Spec)
	}
}

func TestResizeChangesOnlyResources(t *testing.T) {
	r := coreResource("pods")
	body := `{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"100m"}}}]}}`
	old := created(t, r, "ns", body).(*corev1.Pod)
	p := mustUpdate(t, r, "resize", old, func(p *corev1.Pod) {
		p.Spec.Containers[0].Image = "j"
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("200m")}
	})
	if got := p.Spec.Containers[0].Resources.Requests.Cpu().String(); got != "200m" || p.Spec.Containers[0].Image != "i" {
		t.Errorf("cpu %s image %s", got, p.Spec.Containers[0].Image)
	}
}

func TestDeletePod(t *testing.T) {
	zero, five, minus := int64(0), int64(5), int64(-3)
	now := metav1.NewTime(time.Unix(1_700_000_000, 0))
	for _, c := range []struct {
		name     string
		node     string
		phase    corev1.PodPhase
		asked    *int64
		graceful bool
		period   int64
	}{
		{"its own period", "n", corev1.PodRunning, nil, true, 30},
		{"asked", "n", corev1.PodRunning, &five, true, 5},
		{"negative is one second", "n", corev1.PodRunning, &minus, true, 1},
		{"not on a node", "", corev1.PodPending, nil, true, 0},
		{"finished", "n", corev1.PodSucceeded, nil, true, 0},
		{"forced", "n", corev1.PodRunning, &zero, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := coreResource("pods")
			p := created(t, r, "ns", podBody).(*corev1.Pod)
			p.Spec.NodeName, p.Status.Phase = c.node, c.phase
			q := request(r, "ns")
			q.Now = now
			o := &metav1.DeleteOptions{GracePeriodSeconds: c.asked}
			graceful, pending, err := r.BeforeDelete(q, p, o)
			if err != nil || graceful != c.graceful || pending {
				t.Fatalf("graceful %v pending %v error %v", graceful, pending, err)
			}
			if *p.DeletionGracePeriodSeconds != c.period || *o.GracePeriodSeconds != c.period {
				t.Errorf("period %d, options %d, want %d", *p.DeletionGracePeriodSeconds, *o.GracePeriodSeconds, c.period)
			}
			if want := now.Add(time.Duration(c.period) * time.Second); !p.DeletionTimestamp.Time.Equal(want) || p.Generation != 2 {
				t.Errorf("deletionTimestamp %s generation %d, want %s and 2", p.DeletionTimestamp, p.Generation, want)
			}
		})
	}
}

func TestSecondDeleteOnlyShortens(t *testing.T) {
	r := coreResource("pods")
	thirty, ten, sixty := int64(30), int64(10), int64(60)
	at := metav1.NewTime(time.Unix(1_700_000_030, 0))
	pod := func() *corev1.Pod {
		p := created(t, r, "ns", podBody).(*corev1.Pod)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &thirty
		return p
	}
	q := request(r, "ns")
	q.Now = metav1.NewTime(at.Add(-29 * time.Second))
	p := pod()
	if graceful, _, _ := r.BeforeDelete(q, p, &metav1.DeleteOptions{GracePeriodSeconds: &ten}); !graceful || *p.DeletionGracePeriodSeconds != 10 {
		t.Errorf("a shorter period is not taken: %v", p.DeletionGracePeriodSeconds)
	}
	if want := at.Add(-20 * time.Second); !p.DeletionTimestamp.Time.Equal(want) {
		t.Errorf("deletionTimestamp %s, want %s", p.DeletionTimestamp, want)
	}
	if _, pending, _ := r.BeforeDelete(q, pod(), &metav1.DeleteOptions{GracePeriodSeconds: &sixty}); !pending {
		t.Error("a longer period is taken")
	}
	uid := types.UID("other")
	_, _, err := r.BeforeDelete(q, pod(), &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if !apierrors.IsConflict(err) {
		t.Errorf("error %v, want Conflict", err)
	}
}

func TestNamespaceLife(t *testing.T) {
	r := coreResource("namespaces")
	n := created(t, r, "", `{"metadata":{"name":"shop"}}`).(*corev1.Namespace)
	if n.Status.Phase != corev1.NamespaceActive || !slices.Equal(n.Spec.Finalizers, []corev1.FinalizerName{"kubernetes"}) || n.Labels["kubernetes.io/metadata.name"] != "shop" {
		t.Errorf("%+v", n)
	}
	same := mustUpdate(t, r, "", n, func(n *corev1.Namespace) { n.Spec.Finalizers, n.Status.Phase = nil, corev1.NamespaceTerminating })
	if len(same.Spec.Finalizers) != 1 || same.Status.Phase != corev1.NamespaceActive {
		t.Errorf("an update changed finalizers or status: %+v", same)
	}
	done := mustUpdate(t, r, "finalize", n, func(n *corev1.Namespace) { n.Spec.Finalizers = nil })
	if len(done.Spec.Finalizers) != 0 {
		t.Errorf("finalize left %v", done.Spec.Finalizers)
	}
}

func TestSecretFoldsStringData(t *testing.T) {
	s := created(t, coreResource("secrets"), "ns", `{"metadata":{"name":"s"},"stringData":{"k":"v"},"data":{"o":"eA=="}}`).(*corev1.Secret)
	if string(s.Data["k"]) != "v" || string(s.Data["o"]) != "x" || s.StringData != nil || s.Type != corev1.SecretTypeOpaque {
		t.Errorf("%+v", s)
	}
	frozen := true
	s.Immutable = &frozen
	_, err := update(t, coreResource("secrets"), "", s, func(s *corev1.Secret) { s.Data["k"] = []byte("w") })
	wantInvalid(t, err, "field is immutable when `immutable` is set")
}

func TestDeploymentGeneration(t *testing.T) {
	r := groupResource("apps", "v1", "deployments")
	body := `{"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	d := created(t, r, "ns", body).(*appsv1.Deployment)
	if d.Generation != 1 || *d.Spec.Replicas != 1 || *d.Spec.RevisionHistoryLimit != 10 {
		t.Errorf("%+v", d.Spec)
	}
	for name, c := range map[string]struct {
		sub    string
		change func(*appsv1.Deployment)
		want   int64
	}{
		"spec":        {"", func(d *appsv1.Deployment) { *d.Spec.Replicas = 3 }, 2},
		"annotations": {"", func(d *appsv1.Deployment) { d.Annotations = map[string]string{"a": "b"} }, 2},
		"labels":      {"", func(d *appsv1.Deployment) { d.Labels = map[string]string{"a": "b"} }, 1},
		"status":      {"status", func(d *appsv1.Deployment) { d.Status.Replicas = 1; *d.Spec.Replicas = 9 }, 1},
	} {
		if got := mustUpdate(t, r, c.sub, d, c.change).Generation; got != c.want {
			t.Errorf("%s: generation %d, want %d", name, got, c.want)
		}
	}
	_, err := update(t, r, "", d, func(d *appsv1.Deployment) { d.Spec.Selector.MatchLabels["x"] = "y" })
	wantInvalid(t, err, "spec.selector")
}

func TestJobSelectsItsOwnPods(t *testing.T) {
	r := groupResource("batch", "v1", "jobs")
	j := created(t, r, "ns", `{"metadata":{"name":"j"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}`).(*batchv1.Job)
	uid := string(j.UID)
	if j.Spec.Selector.MatchLabels["batch.kubernetes.io/controller-uid"] != uid {
		t.Errorf("selector %v", j.Spec.Selector)
	}
	for key, want := range map[string]string{"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid, "batch.kubernetes.io/job-name": "j", "job-name": "j"} {
		if got := j.Spec.Template.Labels[key]; got != want {
			t.Errorf("label %s is %q, want %q", key, got, want)
		}
	}
	if r.Strategy.Orphaning != OrphanDependents {
		t.Error("a job's pods must be orphaned by default")
	}
}

func TestSigningRequestRecordsItsUser(t *testing.T) {
	r := groupResource("certificates.k8s.io", "v1", "certificatesigningrequests")
	obj, err := r.New()
	if err != nil {
		t.Fatal(err)
	}
	csr := obj.(*certificatesv1.CertificateSigningRequest)
	csr.Spec.Username = "forged"
	q := request(r, "")
	q.User = authenticationv1.UserInfo{Username: "alice", UID: "7", Groups: []string{"g"}, Extra: map[string]authenticationv1.ExtraValue{"k": {"v"}}}
	in, err := internalObject(csr)
	if err != nil {
		t.Fatal(err)
	}
	r.Strategy.PrepareForCreate(q, in)
	out, err := r.external(in)
	if err != nil {
		t.Fatal(err)
	}
	got := out.(*certificatesv1.CertificateSigningRequest).Spec
	if got.Username != "alice" || got.UID != "7" || !slices.Equal(got.Groups, []string{"g"}) || got.Extra["k"][0] != "v" {
		t.Errorf("%+v", got)
	}
}

func TestServiceTypeChangeDropsWhatOnlyTheOldTypeHas(t *testing.T) {
	r := coreResource("services")
	body := `{"metadata":{"name":"s"},"spec":{"type":"NodePort","clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9"],"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","ports":[{"port":80,"nodePort":30080}]}}`
	s := created(t, r, "ns", body).(*corev1.Service)
	got := mustUpdate(t, r, "", s, func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
	if got.Spec.Ports[0].NodePort != 0 || got.Spec.ClusterIP != "10.96.0.9" {
		t.Errorf("%+v", got.Spec)
	}
	got = mustUpdate(t, r, "", s, func(s *corev1.Service) {
		s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.org"
	})
	if got.Spec.ClusterIP != "" || got.Spec.ClusterIPs != nil || got.Spec.IPFamilies != nil {
		t.Errorf("%+v", got.Spec)
	}
}

func TestNamespaceOfBodyMustFit(t *testing.T) {
	r := coreResource("pods")
	obj, _, err := r.Decode([]byte(`{"metadata":{"name":"p","namespace":"other"}}`), JSON, Strict)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Begin(request(r, "ns"), obj); !apierrors.IsBadRequest(err) {
		t.Errorf("error %v, want BadRequest", err)
	}
}

func TestInvalidObjects(t *testing.T) {
	for _, c := range []struct {
		gvr   schema.GroupVersionResource
		body  string
		field string
	}{
		{schema.GroupVersionResource{Version: "v1", Resource: "pods"}, `{"metadata":{"name":"p"},"spec":{"containers":[]}}`, "spec.containers: Required value"},
		{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, `{"metadata":{"name":"UPPER"}}`, "metadata.name: Invalid value"},
		{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}, `{"metadata":{"name":"r"},"spec":{"replicas":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		{schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"}, `{"metadata":{"name":"r"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Pod","name":"x"}}`, "roleRef.kind"},
		{schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}, `{"metadata":{"name":"w"},"webhooks":[{"name":"short","clientConfig":{"url":"http://x"},"admissionReviewVersions":["v9"],"sideEffects":"Some","timeoutSeconds":99}]}`, "webhooks[0].clientConfig.url"},
		{schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, `{"metadata":{"name":"x"},"spec":{"group":"g.io","names":{"plural":"ps","kind":"P"},"scope":"Cluster","versions":[{"name":"v1","served":true,"storage":true}]}}`, "metadata.name"},
	} {
		r := Find(c.gvr)
		obj, _, err := r.Decode([]byte(c.body), JSON, Strict)
		if err != nil {
			t.Fatalf("%s: %v", c.gvr, err)
		}
		q := request(r, namespaceOf(r))
		if err := r.Begin(q, obj); err != nil {
			t.Fatal(err)
		}
		_, _, err = r.BeforeCreate(context.Background(), q, obj)
		wantInvalid(t, err, c.field)
	}
}
