package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"

	"minato.dev/minato/internal/client"
)

var (
	errUnknown = errors.New("Unauthorized")

	tokenReviews  = client.Kind[*authnv1.TokenReview]{GroupVersion: authnv1.SchemeGroupVersion, Kind: "TokenReview", Resource: "tokenreviews"}
	accessReviews = client.Kind[*authzv1.SubjectAccessReview]{GroupVersion: authzv1.SchemeGroupVersion, Kind: "SubjectAccessReview", Resource: "subjectaccessreviews"}
)

// How long the API server's answers are believed, as upstream's kubelet believes them.
const (
	tokenLife   = 2 * time.Minute
	allowedLife = 5 * time.Minute
	deniedLife  = 30 * time.Second
	mostAnswers = 1000
)

// Auth asks the API server who a token is and whether a user may use the node's API. Members of system:masters, whose
// certificate says so, may always.
type Auth struct {
	c    *client.Client
	node string
	now  func() time.Time

	mu      sync.Mutex
	answers map[string]answer
	users   map[string]identity
}

type answer struct {
	allowed bool
	reason  string
	until   time.Time
}

type identity struct {
	user  authnv1.UserInfo
	until time.Time
}

// NewAuth returns an Auth for one node.
func NewAuth(c *client.Client, node string) *Auth {
	return &Auth{c: c, node: node, now: time.Now, answers: map[string]answer{}, users: map[string]identity{}}
}

func (a *Auth) check(r *http.Request) error {
	user, err := a.who(r)
	if err != nil {
		return err
	}
	if slices.Contains(user.Groups, "system:masters") {
		return nil
	}
	for _, sub := range subresources(r.URL.Path) {
		got, err := a.may(r.Context(), user, verbs[r.Method], sub)
		if err != nil {
			return err
		}
		if got.allowed {
			return nil
		}
	}
	return fmt.Errorf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=%v)", user.Username, verbs[r.Method], subresources(r.URL.Path))
}

var verbs = map[string]string{http.MethodPost: "create", http.MethodGet: "get", http.MethodHead: "get", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"}

// subresources of the node that a path needs; one of them suffices.
func subresources(path string) []string {
	under := func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") }
	switch {
	case under("/stats"):
		return []string{"stats"}
	case under("/metrics"):
		return []string{"metrics"}
	case under("/logs"):
		return []string{"log"}
	case under("/healthz"):
		return []string{"healthz", "proxy"}
	case under("/configz"):
		return []string{"configz", "proxy"}
	case under("/checkpoint"):
		return []string{"checkpoint"}
	case under("/pods"), under("/runningpods"):
		return []string{"pods", "proxy"}
	}
	return []string{"proxy"}
}

// who is the caller by certificate or token.
func (a *Auth) who(r *http.Request) (authnv1.UserInfo, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		subject := r.TLS.VerifiedChains[0][0].Subject
		return authnv1.UserInfo{Username: subject.CommonName, Groups: append(slices.Clone(subject.Organization), "system:authenticated")}, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return authnv1.UserInfo{}, errUnknown
	}
	a.mu.Lock()
	known, ok := a.users[token]
	a.mu.Unlock()
	if ok && a.now().Before(known.until) {
		return known.user, nil
	}
	got, err := client.Of(a.c, tokenReviews).Create(r.Context(), &authnv1.TokenReview{Spec: authnv1.TokenReviewSpec{Token: token}})
	if err != nil {
		return authnv1.UserInfo{}, fmt.Errorf("token review: %w", err)
	}
	if !got.Status.Authenticated {
		return authnv1.UserInfo{}, errUnknown
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.users) >= mostAnswers {
		clear(a.users)
	}
	a.users[token] = identity{got.Status.User, a.now().Add(tokenLife)}
	return got.Status.User, nil
}

func (a *Auth) may(ctx context.Context, u authnv1.UserInfo, verb, sub string) (answer, error) {
	key := strings.Join(append([]string{u.Username, u.UID, verb, sub}, u.Groups...), "\x00")
	a.mu.Lock()
	known, ok := a.answers[key]
	a.mu.Unlock()
	if ok && a.now().Before(known.until) {
		return known, nil
	}
	extra := map[string]authzv1.ExtraValue{}
	for k, v := range u.Extra {
		extra[k] = authzv1.ExtraValue(v)
	}
	got, err := client.Of(a.c, accessReviews).Create(ctx, &authzv1.SubjectAccessReview{Spec: authzv1.SubjectAccessReviewSpec{User: u.Username, Groups: u.Groups, UID: u.UID, Extra: extra,
		ResourceAttributes: &authzv1.ResourceAttributes{Verb: verb, Version: "v1", Resource: "nodes", Subresource: sub, Name: a.node}}})
	if err != nil {
		return answer{}, fmt.Errorf("subject access review: %w", err)
	}
	life := deniedLife
	if got.Status.Allowed {
		life = allowedLife
	}
	out := answer{got.Status.Allowed, got.Status.Reason, a.now().Add(life)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) >= mostAnswers {
		clear(a.answers)
	}
	a.answers[key] = out
	return out, nil
}
