package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A Pod is who an image is pulled for, as far as providers may learn it.
type Pod struct {
	Namespace, ServiceAccount string // the account is "" for static pods
	// Account asks for the account's uid and annotations, Token for a token of the account that is good for audience and
	// bound to the pod.
	Account func(ctx context.Context) (uid string, annotations map[string]string, err error)
	Token   func(ctx context.Context, audience string) (string, error)
}

// tokenAttributes are what a provider wants to be given of the pod's service account.
type tokenAttributes struct {
	Audience  string   `json:"serviceAccountTokenAudience"`
	CacheType string   `json:"cacheType"`
	Require   *bool    `json:"requireServiceAccount"`
	Required  []string `json:"requiredServiceAccountAnnotationKeys,omitempty"`
	Optional  []string `json:"optionalServiceAccountAnnotationKeys,omitempty"`
}

func (a *tokenAttributes) check() error {
	switch {
	case a == nil:
		return nil
	case a.Audience == "":
		return errors.New("tokenAttributes.serviceAccountTokenAudience: must be given")
	case a.Require == nil:
		return errors.New("tokenAttributes.requireServiceAccount: must be given")
	case a.CacheType != "Token" && a.CacheType != "ServiceAccount":
		return fmt.Errorf("tokenAttributes.cacheType %q: must be Token or ServiceAccount", a.CacheType)
	case !*a.Require && len(a.Required) > 0:
		return errors.New("tokenAttributes.requiredServiceAccountAnnotationKeys: need requireServiceAccount: true")
	}
	all := append(slices.Clone(a.Required), a.Optional...)
	slices.Sort(all)
	if n := len(all); n > len(slices.Compact(all)) {
		return errors.New("tokenAttributes: an annotation is named twice")
	}
	return nil
}

// A bearer is what a provider is shown of one pod, and what its answer is good for besides.
type bearer struct {
	token       string
	annotations map[string]string
	scope       string // "" where the answer does not depend on the pod
}

// bearer asks for what the provider wants. Where the pod is none of those that the provider is for, it is not asked at all.
func (a *tokenAttributes) bearer(ctx context.Context, pod *Pod) (b bearer, ask bool, err error) {
	if a == nil {
		return b, true, nil
	}
	if pod == nil || pod.ServiceAccount == "" {
		return b, !*a.Require, nil
	}
	uid, annotations, err := pod.Account(ctx)
	if err != nil {
		return b, false, fmt.Errorf("service account %s/%s: %w", pod.Namespace, pod.ServiceAccount, err)
	}
	b.annotations = map[string]string{}
	for _, k := range append(slices.Clone(a.Required), a.Optional...) {
		if v, ok := annotations[k]; ok {
			b.annotations[k] = v
		} else if slices.Contains(a.Required, k) {
			return b, false, nil // the account has not asked for this provider
		}
	}
	if b.token, err = pod.Token(ctx, a.Audience); err != nil {
		return b, false, fmt.Errorf("token of service account %s/%s: %w", pod.Namespace, pod.ServiceAccount, err)
	}
	good := []any{pod.Namespace, pod.ServiceAccount, uid, b.annotations}
	if a.CacheType == "Token" {
		good = append(good, b.token)
	}
	raw, err := json.Marshal(good)
	sum := sha256.Sum256(raw) // a token must not stand in a key
	b.scope = hex.EncodeToString(sum[:])
	return b, err == nil, err
}
