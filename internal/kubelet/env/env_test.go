package env

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExpand(t *testing.T) {
	vars := map[string]string{"A": "1", "B": "$(A)", "EMPTY": ""}
	look := func(n string) (string, bool) { v, ok := vars[n]; return v, ok }
	for in, want := range map[string]string{
		"": "", "x": "x", "$(A)": "1", "a$(A)b": "a1b", "$$(A)": "$(A)", "$$$(A)": "$1", "$$$$(A)": "$$(A)",
		"$(X)": "$(X)", "$(A": "$(A", "$A": "$A", "$": "$", "a$": "a$", "$(EMPTY)": "", "$(B)": "$(A)", "$()": "$()", "$(A)$(A)": "11", "$(A))": "1)",
	} {
		if got := Expand(in, look); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("$(A)$$(B)$(")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Expand(s, func(string) (string, bool) { return "", false }); len(got) > len(s) {
			t.Errorf("Expand(%q) = %q grew without a value", s, got)
		}
	})
}

var errMissing = errors.New("missing")

func source() Source {
	return Source{
		ConfigMap: func(n string) (*corev1.ConfigMap, error) {
			if n != "cm" {
				return nil, errMissing
			}
			return &corev1.ConfigMap{Data: map[string]string{"k": "v", "other": "o"}}, nil
		},
		Secret: func(n string) (*corev1.Secret, error) {
			return &corev1.Secret{Data: map[string][]byte{"p": []byte("w")}}, nil
		},
		Services: []*corev1.Service{
			{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes", Namespace: "default"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1", Ports: []corev1.ServicePort{{Name: "https", Port: 443, Protocol: "TCP"}}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "my-db", Namespace: "ns"}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.2", Ports: []corev1.ServicePort{{Port: 53, Protocol: "UDP"}}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "headless", Namespace: "ns"}, Spec: corev1.ServiceSpec{ClusterIP: "None", Ports: []corev1.ServicePort{{Port: 1}}}},
		},
		PodIPs: []string{"10.244.0.5"}, HostIPs: []string{"192.0.2.1"}, NodeName: "n1",
		Allocatable: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("1Gi")},
		NotFound:    func(err error) bool { return errors.Is(err, errMissing) },
	}
}

func TestOf(t *testing.T) {
	yes := true
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "u", Labels: map[string]string{"a": "b"}}}
	c := &corev1.Container{Name: "c", Env: []corev1.EnvVar{
		{Name: "PLAIN", Value: "$(MY_DB_SERVICE_HOST)-$(LATER)"},
		{Name: "LATER", Value: "x"},
		{Name: "REF", Value: "$(PLAIN)"},
		{Name: "NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		{Name: "LABEL", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['a']"}}},
		{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
		{Name: "MEM", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}},
		{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "requests.cpu"}}},
		{Name: "KEY", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Key: "k"}}},
		{Name: "GONE", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Key: "k", Optional: &yes}}},
	}, EnvFrom: []corev1.EnvFromSource{{Prefix: "S_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}}},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("250m")}}}
	got, err := Of(pod, c, source())
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, v := range got {
		m[v.Name] = v.Value
	}
	for k, want := range map[string]string{"PLAIN": "10.96.0.2-$(LATER)", "REF": "10.96.0.2-$(LATER)", "NAME": "p", "LABEL": "b", "IP": "10.244.0.5", "MEM": "1024", "CPU": "1", "KEY": "v", "S_p": "w",
		"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT_HTTPS": "443", "KUBERNETES_PORT": "tcp://10.96.0.1:443", "MY_DB_PORT_53_UDP_PROTO": "udp"} {
		if m[k] != want {
			t.Errorf("%s = %q, want %q", k, m[k], want)
		}
	}
	for _, k := range []string{"GONE", "HEADLESS_SERVICE_HOST"} {
		if v, ok := m[k]; ok {
			t.Errorf("%s = %q, want it absent", k, v)
		}
	}
	pod.Spec.EnableServiceLinks = new(bool)
	got, _ = Of(pod, c, source())
	if slices.ContainsFunc(got, func(v Var) bool { return v.Name == "MY_DB_SERVICE_HOST" }) || !slices.ContainsFunc(got, func(v Var) bool { return v.Name == "KUBERNETES_SERVICE_HOST" }) {
		t.Error("enableServiceLinks: false must leave only the API server's variables")
	}
}

func TestOfErrors(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}}
	for want, v := range map[string]*corev1.EnvVarSource{
		"couldn't find key x in ConfigMap ns/cm": {ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Key: "x"}},
		"couldn't find key x in Secret ns/s":     {SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "x"}},
		"missing":                                {ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Key: "x"}},
		"unsupported fieldPath: spec.what":       {FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.what"}},
	} {
		_, err := Of(pod, &corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: v}}}, source())
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
