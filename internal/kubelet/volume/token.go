package volume

import (
	"context"
	"fmt"
	"path"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// tokenKey names one service account token projection of one pod.
type tokenKey struct {
	uid    types.UID
	volume string
	source int
}

// token is a token with the time from which it is to be replaced: after 80 % of its life, or a day where that is less.
type token struct {
	value string
	renew time.Time
}

// fromToken projects a service account token that is bound to the pod.
func (m *Mounter) fromToken(ctx context.Context, pod *corev1.Pod, volume string, i int, p payload, s *corev1.ServiceAccountTokenProjection, perm int32) error {
	if err := checkPath(s.Path); err != nil {
		return err
	}
	key := tokenKey{pod.UID, volume, i}
	m.mu.Lock()
	t, ok := m.issued[key]
	m.mu.Unlock()
	if !ok || !m.now().Before(t.renew) {
		var err error
		if t, err = m.request(ctx, pod, s); err != nil {
			return asked(fmt.Errorf("failed to fetch token: %w", err))
		}
		m.mu.Lock()
		m.issued[key] = t
		m.mu.Unlock()
	}
	f := file{data: []byte(t.value), mode: perm, owner: commonUser(pod)}
	if f.owner != nil || group(pod) != nil {
		f.mode = 0o600
	}
	p[path.Clean(s.Path)] = f
	return nil
}

func (m *Mounter) request(ctx context.Context, pod *corev1.Pod, s *corev1.ServiceAccountTokenProjection) (token, error) {
	r := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: s.ExpirationSeconds,
		BoundObjectRef: &authv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}}
	if s.Audience != "" {
		r.Spec.Audiences = []string{s.Audience}
	}
	asked := m.now()
	got, err := m.tokens(ctx, pod.Namespace, pod.Spec.ServiceAccountName, r)
	if err != nil {
		return token{}, err
	}
	life := got.Status.ExpirationTimestamp.Sub(asked)
	return token{got.Status.Token, asked.Add(min(life*8/10, 24*time.Hour))}, nil
}

// Renew is when the pod's volumes need Setup again because a token grows old, or they could not be brought up to date; zero:
// never.
func (m *Mounter) Renew(uid types.UID) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.kept[uid]
	for k, t := range m.issued {
		if k.uid == uid && (next.IsZero() || t.renew.Before(next)) {
			next = t.renew
		}
	}
	for k, c := range m.certs {
		if k.uid == uid && c.request == "" && !c.renew.IsZero() && (next.IsZero() || c.renew.Before(next)) {
			next = c.renew
		}
	}
	return next
}

func (m *Mounter) forgetTokens(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, uid)
	for k := range m.issued {
		if k.uid == uid {
			delete(m.issued, k)
		}
	}
	for k := range m.certs {
		if k.uid == uid {
			delete(m.certs, k)
		}
	}
}

// commonUser is the user that all containers of the pod run as, nil where they differ or do not say.
func commonUser(pod *corev1.Pod) *int64 {
	var user *int64
	if sc := pod.Spec.SecurityContext; sc != nil {
		user = sc.RunAsUser
	}
	var common *int64
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			u := user
			if sc := list[i].SecurityContext; sc != nil && sc.RunAsUser != nil {
				u = sc.RunAsUser
			}
			if u == nil || common != nil && *common != *u {
				return nil
			}
			common = u
		}
	}
	return common
}

// group is the pod's fsGroup.
func group(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}
