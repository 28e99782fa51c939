package authn

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
)

// upstreamGetter lets upstream's validator read our Objects.
type upstreamGetter struct{ o Objects }

func (g upstreamGetter) GetServiceAccount(ctx context.Context, ns, name string) (*corev1.ServiceAccount, error) {
	return get[*corev1.ServiceAccount](ctx, g.o, "serviceaccounts", ns, name)
}

func (g upstreamGetter) GetPod(ctx context.Context, ns, name string) (*corev1.Pod, error) {
	return get[*corev1.Pod](ctx, g.o, "pods", ns, name)
}

func (g upstreamGetter) GetSecret(ctx context.Context, ns, name string) (*corev1.Secret, error) {
	return get[*corev1.Secret](ctx, g.o, "secrets", ns, name)
}

func (g upstreamGetter) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	return get[*corev1.Node](ctx, g.o, "nodes", "", name)
}

func (g upstreamGetter) GetValidatingWebhookConfiguration(ctx context.Context, name string) (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	return get[*admissionregistrationv1.ValidatingWebhookConfiguration](ctx, g.o, "validatingwebhookconfigurations", "", name)
}

func (g upstreamGetter) GetMutatingWebhookConfiguration(ctx context.Context, name string) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	return get[*admissionregistrationv1.MutatingWebhookConfiguration](ctx, g.o, "mutatingwebhookconfigurations", "", name)
}
