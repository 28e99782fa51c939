package bootstrap

import (
	"encoding/json"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// configMaps are kube-system/extension-apiserver-authentication, by which aggregated servers learn whom to trust, and the note
// since when the use of legacy tokens is followed.
func configMaps(c Config) ([]wanted, error) {
	data := map[string]string{}
	if len(c.ClientCAPEM) > 0 {
		data["client-ca-file"] = string(c.ClientCAPEM)
	}
	if len(c.FrontProxyPEM) > 0 {
		data["requestheader-client-ca-file"] = string(c.FrontProxyPEM)
		for key, values := range map[string][]string{
			"requestheader-allowed-names":        {c.FrontProxyName},
			"requestheader-username-headers":     {"X-Remote-User"},
			"requestheader-uid-headers":          {"X-Remote-Uid"},
			"requestheader-group-headers":        {"X-Remote-Group"},
			"requestheader-extra-headers-prefix": {"X-Remote-Extra-"},
		} {
			text, err := json.Marshal(values)
			if err != nil {
				return nil, err
			}
			data[key] = string(text)
		}
	}
	gr := corev1.Resource("configmaps")
	auth := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "extension-apiserver-authentication"}, Data: data}
	tracking := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-apiserver-legacy-service-account-token-tracking"},
		Data: map[string]string{"since": c.Now.UTC().Format("2006-01-02")}}
	return []wanted{
		{gr, auth, func(have runtime.Object) (Object, string) {
			h := have.(*corev1.ConfigMap).DeepCopy()
			before := maps.Clone(h.Data)
			if h.Data == nil {
				h.Data = map[string]string{}
			}
			maps.Copy(h.Data, data)
			if maps.Equal(before, h.Data) {
				return nil, ""
			}
			return h, ""
		}},
		{gr, tracking, keep},
	}, nil
}
