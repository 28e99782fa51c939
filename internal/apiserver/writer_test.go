package apiserver_test

import (
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/store"
)

// TestOlderWriter serves objects that somebody stored without defaults that came later, or in an older version.
func TestOlderWriter(t *testing.T) {
	st := store.NewMemory()
	five := int32(50)
	write(t, st, "/registry/pods/default/old", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "old", Namespace: "default", UID: "u"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}})
	write(t, st, "/registry/horizontalpodautoscalers/default/old", &autoscalingv1.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "old", Namespace: "default", UID: "v"},
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{Kind: "Deployment", Name: "d"}, MaxReplicas: 3, TargetCPUUtilizationPercentage: &five}})
	s := apiservertest.Start(t, func(c *apiserver.Config) { c.Store = st })

	const selected, table, stream = "fieldSelector=spec.restartPolicy%3DAlways", ";as=Table;v=v1;g=meta.k8s.io", ";stream=watch"
	for _, accept := range []string{api.JSON, api.YAML, api.Protobuf, api.JSON + table} {
		served(t, s, pods+"/old?includeObject=Object", accept)
		served(t, s, pods+"?includeObject=Object&"+selected, accept)
	}
	t.Run("watch", func(t *testing.T) {
		for _, accept := range []string{api.JSON + stream, api.Protobuf + stream, api.JSON + table} {
			t.Run(accept, func(t *testing.T) {
				t.Parallel()
				served(t, s, pods+"?includeObject=Object&watch=1&resourceVersion=0&timeoutSeconds=1&"+selected, accept)
			})
		}
	})
	if a := do(t, s, "GET", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/old", "", "Accept", api.Protobuf); !strings.Contains(a.body, "Utilization") {
		t.Errorf("older version: %d %q", a.code, a.body)
	}

	// An update that changes nothing brings the store up to date.
	before, _, _, err := st.Get(t.Context(), "/registry/pods/default/old")
	if err != nil {
		t.Fatal(err)
	}
	if a := do(t, s, "PATCH", pods+"/old", "{}", "Content-Type", mergePatch); a.code != 200 {
		t.Fatal(a.body)
	}
	after, _, _, err := st.Get(t.Context(), "/registry/pods/default/old")
	if err != nil || before.ModRevision == after.ModRevision || !strings.Contains(string(after.Value), "Always") {
		t.Errorf("not brought up to date: %q %v", after.Value, err)
	}
}

// served checks that two defaults are in an answer.
func served(t *testing.T, s *apiservertest.Server, path, accept string) {
	t.Helper()
	if a := do(t, s, "GET", path, "", "Accept", accept); a.code != 200 || !strings.Contains(a.body, "Always") || !strings.Contains(a.body, "ClusterFirst") {
		t.Errorf("%s as %s: %d %q", path, accept, a.code, a.body)
	}
}

func write(t *testing.T, st store.Store, key string, obj runtime.Object) {
	t.Helper()
	value, err := api.EncodeStorage(obj)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Create(t.Context(), key, value, 0); err != nil {
		t.Fatal(err)
	}
}
