package controllers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/apiserver/bootstrap"
	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/controllers"
	"minato.dev/minato/internal/controllers/certificates"
	"minato.dev/minato/internal/controllers/nodeipam"
	"minato.dev/minato/internal/controllers/resourcequota"
)

// knowledge is what a cluster gives its controllers; tokens can be read.
func knowledge(srv *apiservertest.Server) controllers.Knowledge {
	return controllers.Knowledge{CA: []byte("CA"), Aggregate: bootstrap.Aggregate,
		Sign: func(sa *corev1.ServiceAccount, s *corev1.Secret) (string, error) {
			return "token of " + sa.Name + " in " + s.Name, nil
		},
		Nodes: nodeipam.Ranges{Cluster: netip.MustParsePrefix("10.244.0.0/16"), Reserved: netip.MustParsePrefix("10.244.0.0/24")},
		Issue: certificates.Rules{Sign: signer},
		Quota: resourcequota.Counting{Counted: admission.QuotaCounts, Used: func(ctx context.Context, q *corev1.ResourceQuota) (corev1.ResourceList, error) {
			return admission.QuotaUsage(ctx, srv.Objects(), q)
		}}}
}

// signer issues certificates of an authority that nobody keeps.
func signer(req *x509.CertificateRequest, key x509.KeyUsage, ext []x509.ExtKeyUsage, life time.Duration) ([]byte, error) {
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: req.Subject, NotAfter: time.Now().Add(life), KeyUsage: key, ExtKeyUsage: ext}
	der, err := x509.CreateCertificate(rand.Reader, c, c, req.PublicKey, ca)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

func TestAggregatedRolesFollow(t *testing.T) {
	h := open(t)
	door := client.Of(h.c, client.ClusterRoles)
	_, err := door.Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "all"}, AggregationRule: &rbacv1.AggregationRule{
		ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"to": "all"}}}}})
	h.must(err)
	part := func(name string, verbs ...string) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"to": "all"}},
			Rules: []rbacv1.PolicyRule{{Verbs: verbs, APIGroups: []string{"x"}, Resources: []string{name}}}}
	}
	rules := func(want string) {
		t.Helper()
		h.until("rules "+want, func() (bool, string) {
			r, err := door.Get(t.Context(), "", "all")
			h.must(err)
			got := ""
			for _, p := range r.Rules {
				got += fmt.Sprint(p.Resources, p.Verbs)
			}
			return got == want, got
		})
	}
	b, err := door.Create(t.Context(), part("b", "get"))
	h.must(err)
	_, err = door.Create(t.Context(), part("a", "get"))
	h.must(err)
	rules("[a] [get][b] [get]")
	b.Rules[0].Verbs = []string{"list"}
	_, err = door.Update(t.Context(), b)
	h.must(err)
	rules("[a] [get][b] [list]")
	h.must(door.Delete(t.Context(), "", "a", metav1.DeleteOptions{}))
	rules("[b] [list]")
	h.must(door.Delete(t.Context(), "", "b", metav1.DeleteOptions{}))
	rules("")
}

func TestQuotaForgetsWhatIsGone(t *testing.T) {
	h := open(t)
	quotas := client.Kind[*corev1.ResourceQuota]{GroupVersion: corev1.SchemeGroupVersion, Kind: "ResourceQuota", Resource: "resourcequotas", Namespaced: true}
	for _, name := range []string{"a", "b"} {
		_, err := client.Of(h.c, client.Pods).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}})
		h.must(err)
		_, err = client.Of(h.c, client.Services).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}}})
		h.must(err)
		_, err = client.Of(h.c, client.Deployments).Create(t.Context(), web(0, "i"+name))
		if name == "a" {
			h.must(err)
		}
	}
	hard := corev1.ResourceList{}
	for _, name := range []corev1.ResourceName{"pods", "services.nodeports", "count/deployments.apps"} {
		hard[name] = resource.MustParse("9")
	}
	_, err := client.Of(h.c, quotas).Create(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}})
	h.must(err)
	used := func(pods, ports, deployments int64) {
		t.Helper()
		h.until("used", func() (bool, string) {
			q, err := client.Of(h.c, quotas).Get(t.Context(), "default", "q")
			h.must(err)
			u := q.Status.Used
			is := func(name corev1.ResourceName, want int64) bool { v, ok := u[name]; return ok && v.Value() == want }
			return is("pods", pods) && is("services.nodeports", ports) && is("count/deployments.apps", deployments), fmt.Sprint(u)
		})
	}
	used(2, 2, 1)
	h.must(client.Of(h.c, client.Pods).Delete(t.Context(), "default", "a", metav1.DeleteOptions{}))
	used(1, 2, 1)
	h.must(client.Of(h.c, client.Services).Delete(t.Context(), "default", "a", metav1.DeleteOptions{}))
	used(1, 1, 1)
	h.must(client.Of(h.c, client.Deployments).Delete(t.Context(), "default", "web", metav1.DeleteOptions{}))
	used(1, 1, 0)
}

func TestTokenSecrets(t *testing.T) {
	h := open(t)
	accounts, secrets := client.Of(h.c, client.ServiceAccounts), client.Of(h.c, client.Secrets)
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "bot"}})
	h.must(err)
	_, err = secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s", Annotations: map[string]string{corev1.ServiceAccountNameKey: "bot"}},
		Type: corev1.SecretTypeServiceAccountToken})
	h.must(err)
	h.until("a token", func() (bool, string) {
		s, err := secrets.Get(t.Context(), "default", "s")
		h.must(err)
		d := s.Data
		return string(d["token"]) == "token of bot in s" && string(d["ca.crt"]) == "CA" && string(d["namespace"]) == "default" && s.Annotations[corev1.ServiceAccountUIDKey] != "", fmt.Sprint(s)
	})
	h.must(accounts.Delete(t.Context(), "default", "bot", metav1.DeleteOptions{}))
	h.until("its end", func() (bool, string) {
		s, err := secrets.Get(t.Context(), "default", "s")
		return apierrors.IsNotFound(err), fmt.Sprint(s, err)
	})
}
