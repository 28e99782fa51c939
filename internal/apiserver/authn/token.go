package authn

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// fresh is how long the objects that a token is bound to are believed to be as they were.
const fresh = 10 * time.Second

// checked is a token whose signature is good; user is who it spoke for at the moment at, when its objects were looked at. A
// checked is not changed once it is remembered.
type checked struct {
	claims claims
	key    string // that signed it
	user   user.Info
	at     time.Time
}

// AuthenticateToken implements authenticator.Token. The signature is verified once, the bound objects every ten seconds.
func (i *Issuer) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	now, hash := i.c.Now(), sha256.Sum256([]byte(token))
	known, ok := i.checked.get(hash, now)
	if !ok || i.keys.Load().find(known.key) == nil {
		known = &checked{}
		ours, err := i.read(token, known)
		if err != nil || !ours {
			return nil, false, err
		}
	}
	auds, err := i.audiences(ctx, &known.claims)
	if err != nil {
		return nil, false, err
	}
	if now.Sub(known.at) > fresh {
		who, err := i.holder(ctx, token, &known.claims, now)
		if err != nil {
			return nil, false, err
		}
		known = &checked{known.claims, known.key, who, now}
		i.checked.put(hash, known, now, known.claims.end(now))
	}
	i.noteStale(ctx, &known.claims, now)
	return &authenticator.Response{User: known.user, Audiences: auds}, true, nil
}

// read takes token apart and verifies its signature. ours is false for what is no token of this issuer.
func (i *Issuer) read(token string, into *checked) (ours bool, err error) {
	t, ok := parse(strings.TrimSpace(token))
	if !ok {
		return false, nil
	}
	c := &into.claims
	if err := json.Unmarshal(t.claims, c); err != nil || c.Issuer != i.c.URL && c.Issuer != LegacyIssuer {
		return false, nil
	}
	into.key, err = i.keys.Load().verify(t)
	return true, err
}

// audiences are those that the token is for and the request asks for; both may leave it to the API server's own.
func (i *Issuer) audiences(ctx context.Context, c *claims) (authenticator.Audiences, error) {
	has := authenticator.Audiences(c.Audience)
	if len(has) == 0 {
		has = i.c.Audiences
	}
	want, ok := authenticator.AudiencesFrom(ctx)
	if !ok {
		want = i.c.Audiences
	}
	auds := has.Intersect(want)
	if len(auds) == 0 {
		return nil, fmt.Errorf("[invalid bearer token, token audiences %q is invalid for the target audiences %q]", has, want) // as upstream's two authenticators say it
	}
	return auds, nil
}

// holder looks at the clock and at all objects that the token depends on.
func (i *Issuer) holder(ctx context.Context, token string, c *claims, now time.Time) (user.Info, error) {
	if c.Issuer == LegacyIssuer {
		return i.legacyHolder(ctx, token, c, now)
	}
	if err := c.checkTime(now); err != nil {
		return nil, err
	}
	k := c.K8s
	if k == nil {
		return nil, fmt.Errorf("service account token has no kubernetes.io claims")
	}
	sa, err := get[*corev1.ServiceAccount](ctx, i.c.Objects, "serviceaccounts", k.Namespace, k.ServiceAccount.Name)
	if err != nil {
		return nil, err
	}
	if string(sa.UID) != k.ServiceAccount.UID {
		return nil, fmt.Errorf("service account UID (%s) does not match claim (%s)", sa.UID, k.ServiceAccount.UID)
	}
	if gone(sa, now) {
		return nil, fmt.Errorf("service account %s/%s has been deleted", sa.Namespace, sa.Name)
	}
	info := serviceaccount.ServiceAccountInfo{Namespace: sa.Namespace, Name: sa.Name, UID: string(sa.UID)}
	if c.ID != "" {
		info.CredentialID = "JTI=" + c.ID
	}
	if err := i.checkBound(ctx, k, now, &info); err != nil {
		return nil, err
	}
	return info.UserInfo(), nil
}

// checkBound looks at the secret, pod and node of a token. The node of a pod's token only says where the pod was.
func (i *Issuer) checkBound(ctx context.Context, k *kubeClaims, now time.Time, info *serviceaccount.ServiceAccountInfo) error {
	if k.Secret != nil {
		if err := stillThere[*corev1.Secret](ctx, i.c.Objects, "secrets", k.Namespace, k.Secret, now, "secret UID (%s) does not match service account secret ref claim (%s)"); err != nil {
			return err
		}
	}
	if k.Pod != nil {
		if err := stillThere[*corev1.Pod](ctx, i.c.Objects, "pods", k.Namespace, k.Pod, now, "pod UID (%s) does not match service account pod ref claim (%s)"); err != nil {
			return err
		}
		info.PodName, info.PodUID = k.Pod.Name, k.Pod.UID
	}
	if k.Node != nil {
		if k.Pod == nil {
			if err := stillThere[*corev1.Node](ctx, i.c.Objects, "nodes", "", k.Node, now, "node UID (%s) does not match service account node ref claim (%s)"); err != nil {
				return err
			}
		}
		info.NodeName, info.NodeUID = k.Node.Name, k.Node.UID
	}
	return nil
}

// noteStale leaves a mark in the audit log where a token is used after the time it should have been renewed.
func (i *Issuer) noteStale(ctx context.Context, c *claims, now time.Time) {
	if c.K8s == nil || c.K8s.WarnAfter == nil || !now.After(time.Time(*c.K8s.WarnAfter)) {
		return
	}
	late := now.Unix() - time.Time(*c.K8s.WarnAfter).Unix()
	audit.AddAuditAnnotation(ctx, "authentication.k8s.io/stale-token", fmt.Sprintf("subject: %s, seconds after warning threshold: %d", c.Subject, late))
}

// get reads one core object of type T.
func get[T any](ctx context.Context, o Objects, resource, namespace, name string) (T, error) {
	var none T
	obj, err := o.Get(ctx, schema.GroupResource{Resource: resource}, namespace, name)
	if err != nil {
		return none, err
	}
	t, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("%s %s/%s: stored as %T, not as %T", resource, namespace, name, obj, none)
	}
	return t, nil
}

// gone says whether o has been marked for deletion for longer than clocks may differ.
func gone(o metav1.Object, now time.Time) bool {
	d := o.GetDeletionTimestamp()
	return d != nil && d.Time.Before(now.Add(-leeway))
}

// stillThere says whether the object that r names exists and is the same one; mismatch is the message for another one of this name.
func stillThere[T metav1.Object](ctx context.Context, o Objects, resource, namespace string, r *ref, now time.Time, mismatch string) error {
	obj, err := get[T](ctx, o, resource, namespace, r.Name)
	if err != nil {
		return errBoundGone
	}
	if string(obj.GetUID()) != r.UID {
		return fmt.Errorf(mismatch, obj.GetUID(), r.UID)
	}
	if gone(obj, now) {
		return errBoundGone
	}
	return nil
}
