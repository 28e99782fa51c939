package image

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// tokens are the Authorization headers that worked, by host.
type tokens struct {
	mu sync.Mutex
	m  map[*endpoint]string
}

func (t *tokens) get(h *endpoint) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m[h]
}

func (t *tokens) set(h *endpoint, credential string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[*endpoint]string{}
	}
	t.m[h] = credential
}

// login returns user name and password, however the request carries them.
func (a Auth) login() (user, password string, err error) {
	if a.Username != "" || a.Auth == "" {
		return a.Username, a.Password, nil
	}
	raw, err := base64.StdEncoding.DecodeString(a.Auth)
	if err != nil {
		return "", "", fmt.Errorf("pull secret: its auth field is no base64: %w", err)
	}
	user, password, ok := strings.Cut(strings.TrimRight(string(raw), "\x00"), ":")
	if !ok {
		return "", "", errors.New("pull secret: its auth field holds no user:password")
	}
	return user, password, nil
}

// authorize answers a 401's challenges with an Authorization header; "" means that nothing can be offered.
func (s *session) authorize(ctx context.Context, h *endpoint, challenges []string) (string, error) {
	auth := s.loginFor(h)
	if auth.RegistryToken != "" {
		return fresh(s.tokens.get(h), "Bearer "+auth.RegistryToken), nil
	}
	user, password, err := auth.login()
	if err != nil {
		return "", err
	}
	for _, c := range challenges {
		scheme, params := parseChallenge(c)
		switch {
		case scheme == "bearer" && params["realm"] != "":
			token, err := s.fetchToken(ctx, h, params, user, password, auth.IdentityToken)
			return "Bearer " + token, err
		case scheme == "basic" && user != "":
			basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
			return fresh(s.tokens.get(h), basic), nil
		}
	}
	return "", nil
}

// fresh offers credential unless it has just been refused.
func fresh(refused, credential string) string {
	if refused == credential {
		return ""
	}
	return credential
}

// fetchToken asks the token server that the challenge names: with a login by GET, with a refresh token by OAuth2.
func (s *session) fetchToken(ctx context.Context, h *endpoint, challenge map[string]string, user, password, refresh string) (string, error) {
	realm, err := url.Parse(challenge["realm"])
	if err != nil {
		return "", fmt.Errorf("token server: %w", err)
	}
	if realm.Scheme != "https" && !isLoopback(realm.Host) {
		return "", fmt.Errorf("token server %s: plain HTTP is spoken only to this machine itself", realm.Host)
	}
	scope := challenge["scope"]
	if scope == "" {
		scope = "repository:" + h.repo(s.repo) + ":" + s.access
	}
	q := realm.Query()
	q.Set("service", challenge["service"])
	q.Set("scope", scope)
	var req *http.Request
	if refresh != "" {
		q.Set("grant_type", "refresh_token")
		q.Set("client_id", s.agent)
		q.Set("refresh_token", refresh)
		realm.RawQuery = ""
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(q.Encode()))
	} else {
		realm.RawQuery = q.Encode()
		req, err = http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	}
	if err != nil {
		return "", fmt.Errorf("token server: %w", err)
	}
	req.Header.Set("User-Agent", s.agent)
	if refresh != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else if user != "" {
		req.SetBasicAuth(user, password)
	}
	return readToken(h.client, req)
}

func readToken(c *http.Client, req *http.Request) (string, error) {
	resp, err := c.Do(req)
	if err != nil {
		return "", fmt.Errorf("token server: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("token server: %w", readRefusal(resp, req.Method))
	}
	defer resp.Body.Close()
	raw, err := readDocument(resp.Body)
	if err != nil {
		return "", fmt.Errorf("token server: %w", err)
	}
	var t struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return "", fmt.Errorf("token server: its answer is no token: %w", err)
	}
	if t.Token == "" {
		t.Token = t.AccessToken
	}
	if t.Token == "" {
		return "", errors.New("token server: its answer has no token")
	}
	return t.Token, nil
}

// parseChallenge reads one WWW-Authenticate header: a scheme and its parameters, values quoted or not.
func parseChallenge(h string) (scheme string, params map[string]string) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
	params = map[string]string{}
	for rest = strings.TrimLeft(rest, " ,"); rest != ""; rest = strings.TrimLeft(rest, " ,") {
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		var value string
		value, rest = challengeValue(strings.TrimLeft(after, " "))
		params[strings.ToLower(strings.TrimSpace(key))] = value
	}
	return strings.ToLower(scheme), params
}

// challengeValue takes a value off the front of s.
func challengeValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		if i := strings.IndexByte(s, ','); i >= 0 {
			return strings.TrimSpace(s[:i]), s[i+1:]
		}
		return strings.TrimSpace(s), ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}
