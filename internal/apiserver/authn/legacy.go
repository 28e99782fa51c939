package authn

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// Labels of Secrets that hold legacy tokens.
const (
	LastUsedLabel     = "kubernetes.io/legacy-token-last-used"
	InvalidSinceLabel = "kubernetes.io/legacy-token-invalid-since"
)

var errLegacyInvalid = errors.New("Token has been invalidated")

// legacyHolder checks a token that lives in a Secret: the Secret must still hold exactly this token.
func (i *Issuer) legacyHolder(ctx context.Context, token string, c *claims, now time.Time) (user.Info, error) {
	if err := c.checkLegacy(); err != nil {
		return nil, err
	}
	secret, err := get[*corev1.Secret](ctx, i.c.Objects, "secrets", c.LegacyNamespace, c.LegacySecret)
	if err != nil || secret.DeletionTimestamp != nil {
		return nil, errLegacyInvalid
	}
	if subtle.ConstantTimeCompare(secret.Data[corev1.ServiceAccountTokenKey], []byte(token)) == 0 {
		return nil, errors.New("Token does not match server's copy")
	}
	sa, err := get[*corev1.ServiceAccount](ctx, i.c.Objects, "serviceaccounts", c.LegacyNamespace, c.LegacyName)
	if err != nil {
		return nil, err
	}
	if sa.DeletionTimestamp != nil {
		return nil, fmt.Errorf("ServiceAccount %s/%s has been deleted", sa.Namespace, sa.Name)
	}
	if string(sa.UID) != c.LegacyUID {
		return nil, fmt.Errorf("ServiceAccount UID (%s) does not match claim (%s)", sa.UID, c.LegacyUID)
	}
	i.noteUse(ctx, secret, now)
	if secret.Labels[InvalidSinceLabel] != "" {
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/legacy-token-invalidated", secret.Name+"/"+secret.Namespace)
		return nil, fmt.Errorf("the token in secret %s/%s for service account %s/%s has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '%s' label from the secret to temporarily allow use of this token",
			secret.Namespace, secret.Name, sa.Namespace, sa.Name, InvalidSinceLabel)
	}
	audit.AddAuditAnnotation(ctx, "authentication.k8s.io/legacy-token-manual-secret", secret.Name)
	return serviceaccount.UserInfo(sa.Namespace, sa.Name, string(sa.UID)), nil
}

// checkLegacy says whether all claims that a legacy token must make are there and agree.
func (c *claims) checkLegacy() error {
	for _, f := range []struct{ name, value string }{
		{"sub", c.Subject}, {"namespace", c.LegacyNamespace}, {"secretName", c.LegacySecret},
		{"serviceAccountName", c.LegacyName}, {"serviceAccountUID", c.LegacyUID},
	} {
		if f.value == "" {
			return fmt.Errorf("%s claim is missing", f.name)
		}
	}
	if c.Subject != serviceaccount.MakeUsername(c.LegacyNamespace, c.LegacyName) {
		return errors.New("sub claim is invalid")
	}
	return nil
}

// noteUse has the day of use written down, once a day; tomorrow's date counts too, for clocks in other places.
func (i *Issuer) noteUse(ctx context.Context, secret *corev1.Secret, now time.Time) {
	const day = "2006-01-02"
	today := now.UTC().Format(day)
	last := secret.Labels[LastUsedLabel]
	if i.c.MarkUsed != nil && last != today && last != now.UTC().AddDate(0, 0, 1).Format(day) {
		i.c.MarkUsed(ctx, secret, today)
	}
}
