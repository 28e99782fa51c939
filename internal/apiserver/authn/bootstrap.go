package authn

import (
	"context"
	"crypto/subtle"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// What upstream calls the parts of a bootstrap token's Secret.
const (
	bootstrapType   = corev1.SecretType("bootstrap.kubernetes.io/token")
	bootstrapPrefix = "bootstrap-token-"
	bootstrapUser   = "system:bootstrap:"
	bootstrapGroup  = "system:bootstrappers"
)

var (
	bootstrapToken  = regexp.MustCompile(`^([a-z0-9]{6})\.([a-z0-9]{16})$`)
	bootstrapGroups = regexp.MustCompile(`^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$`)
)

// bootstrap believes bootstrap tokens: Secrets of kube-system by which a machine shows itself that wants to become a node.
type bootstrap struct {
	objects Objects
	now     func() time.Time
}

// AuthenticateToken implements authenticator.Token. A token that is unknown, has ended or is not for this is answered as
// no token of ours: who asks with it learns nothing else.
func (b bootstrap) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	parts := bootstrapToken.FindStringSubmatch(token)
	if parts == nil {
		return nil, false, nil
	}
	id, secret := parts[1], parts[2]
	s, err := get[*corev1.Secret](ctx, b.objects, "secrets", metav1.NamespaceSystem, bootstrapPrefix+id)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !b.good(s, id, secret) {
		return nil, false, nil
	}
	groups, ok := groupsOf(s)
	if !ok {
		return nil, false, nil
	}
	auds, _ := authenticator.AudiencesFrom(ctx)
	return &authenticator.Response{Audiences: auds, User: &user.DefaultInfo{Name: bootstrapUser + id, Groups: groups}}, true, nil
}

func (b bootstrap) good(s *corev1.Secret, id, secret string) bool {
	if s.Type != bootstrapType || s.DeletionTimestamp != nil || string(s.Data["token-id"]) != id || string(s.Data["usage-bootstrap-authentication"]) != "true" {
		return false
	}
	if end := string(s.Data["expiration"]); end != "" {
		at, err := time.Parse(time.RFC3339, end)
		if err != nil || !b.now().Before(at) {
			return false
		}
	}
	return subtle.ConstantTimeCompare(s.Data["token-secret"], []byte(secret)) == 1
}

// groupsOf returns whom the token belongs to, sorted. One name that is none spoils the whole token, as it does upstream.
func groupsOf(s *corev1.Secret) (groups []string, ok bool) {
	groups = []string{bootstrapGroup}
	if extra := string(s.Data["auth-extra-groups"]); extra != "" {
		groups = append(groups, strings.Split(extra, ",")...)
	}
	for _, g := range groups[1:] {
		if !bootstrapGroups.MatchString(g) {
			return nil, false
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), true
}
