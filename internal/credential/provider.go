package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The two APIs of the kubelet's credential providers: of the file that names them and of the talk with them.
const (
	configVersion = "kubelet.config.k8s.io/v1"
	pluginVersion = "credentialprovider.kubelet.k8s.io/v1"
)

// pluginTime is how long a provider may take, upstream's bound.
const pluginTime = time.Minute

// providerConfig is a CredentialProviderConfig.
type providerConfig struct {
	metav1.TypeMeta `json:",inline"`
	Providers       []provider `json:"providers"`
}

type provider struct {
	Name                 string           `json:"name"`
	MatchImages          []string         `json:"matchImages"`
	DefaultCacheDuration *metav1.Duration `json:"defaultCacheDuration"`
	APIVersion           string           `json:"apiVersion"`
	Args                 []string         `json:"args,omitempty"`
	Env                  []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env,omitempty"`
	TokenAttributes *tokenAttributes `json:"tokenAttributes,omitempty"`
}

// Providers are the plugins of one CredentialProviderConfig. What they answer is kept as long as they, or the file, say.
type Providers struct {
	list []provider
	dir  string
	now  func() time.Time

	mu    sync.Mutex
	cache map[cacheKey]cached
	asks  map[cacheKey]*sync.Mutex // one question of one image to a plugin at a time
}

var _ Source = (*Providers)(nil)

// A cacheKey is a provider and what its answer is good for: an image, a registry, or ("") everything; and for which pods,
// where it was told of one.
type cacheKey struct{ provider, scope, bearer string }

type cached struct {
	logins map[string]Login // by pattern
	until  time.Time
}

// OpenProviders reads a CredentialProviderConfig and looks for its programs in dir.
func OpenProviders(file, dir string) (*Providers, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("credential providers: %w", err)
	}
	var c providerConfig
	if err := yaml.UnmarshalStrict(raw, &c); err != nil {
		return nil, fmt.Errorf("credential providers: %s: %w", file, err)
	}
	if err := c.check(dir); err != nil {
		return nil, fmt.Errorf("credential providers: %s: %w", file, err)
	}
	return &Providers{list: c.Providers, dir: dir, now: time.Now, cache: map[cacheKey]cached{}, asks: map[cacheKey]*sync.Mutex{}}, nil
}

func (c providerConfig) check(dir string) error {
	if c.APIVersion != configVersion || c.Kind != "CredentialProviderConfig" {
		return fmt.Errorf("apiVersion %q, kind %q: must be %s, CredentialProviderConfig", c.APIVersion, c.Kind, configVersion)
	}
	if len(c.Providers) == 0 {
		return errors.New("at least one provider must be named")
	}
	var errs []error
	seen := map[string]bool{}
	for i, p := range c.Providers {
		if err := p.check(dir); err != nil {
			errs = append(errs, fmt.Errorf("providers[%d] %q: %w", i, p.Name, err))
		}
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("providers[%d] %q: the name is taken by an earlier one", i, p.Name))
		}
		seen[p.Name] = true
	}
	return errors.Join(errs...)
}

func (p provider) check(dir string) error {
	switch {
	case p.Name == "" || p.Name == "." || p.Name == ".." || strings.ContainsAny(p.Name, "/ "):
		return errors.New("name: must be a file name without slashes and spaces")
	case p.APIVersion != pluginVersion:
		return fmt.Errorf("apiVersion %q: must be %s", p.APIVersion, pluginVersion)
	case len(p.MatchImages) == 0:
		return errors.New("matchImages: at least one pattern must be given")
	case p.DefaultCacheDuration == nil || p.DefaultCacheDuration.Duration < 0:
		return errors.New("defaultCacheDuration: must be given and not be negative")
	}
	if err := p.TokenAttributes.check(); err != nil {
		return err
	}
	if st, err := os.Stat(filepath.Join(dir, p.Name)); err != nil {
		return err
	} else if st.IsDir() || st.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not executable", filepath.Join(dir, p.Name))
	}
	return nil
}

// Logins implements Source: every provider whose patterns fit is asked, unless it has answered already.
func (ps *Providers) Logins(ctx context.Context, image string, pod *Pod) (out []Login, err error) {
	image = Qualified(image)
	if strings.HasPrefix(image, dockerHub+"/") {
		image = "docker.io/" + strings.TrimPrefix(image, dockerHub+"/")
	}
	var errs []error
	for _, p := range ps.list {
		patterns := map[string]bool{}
		for _, m := range p.MatchImages {
			patterns[m] = true
		}
		if len(Match(patterns, image)) == 0 {
			continue
		}
		b, ask, err := p.TokenAttributes.bearer(ctx, pod)
		var logins map[string]Login
		if ask {
			logins, err = ps.ask(ctx, p, image, b)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("credential provider %s: %w", p.Name, err))
			continue
		}
		for _, pattern := range Match(logins, image) {
			out = append(out, logins[pattern])
		}
	}
	return out, errors.Join(errs...)
}

func (ps *Providers) ask(ctx context.Context, p provider, image string, b bearer) (map[string]Login, error) {
	turn := ps.turn(cacheKey{p.Name, image, b.scope})
	turn.Lock()
	defer ps.done(cacheKey{p.Name, image, b.scope}, turn)
	if l, ok := ps.remembered(p, image, b); ok {
		return l, nil
	}
	answer, err := ps.run(ctx, p, image, b)
	if err != nil {
		return nil, err
	}
	logins := map[string]Login{}
	for pattern, a := range answer.Auth {
		logins[pattern] = Login{Username: a.Username, Password: a.Password}
	}
	return logins, ps.remember(p, image, b, answer, logins)
}

func (ps *Providers) turn(k cacheKey) *sync.Mutex {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.asks[k] == nil {
		ps.asks[k] = &sync.Mutex{}
	}
	return ps.asks[k]
}

// done lets the next go; those who wait at this turn find the answer in the cache.
func (ps *Providers) done(k cacheKey, turn *sync.Mutex) {
	ps.mu.Lock()
	delete(ps.asks, k)
	ps.mu.Unlock()
	turn.Unlock()
}

// scopes are what an answer can be good for, by the names that plugins use.
func scopes(image string) map[string]string {
	registry, _, _ := strings.Cut(image, "/")
	return map[string]string{"Image": image, "Registry": registry, "Global": ""}
}

func (ps *Providers) remembered(p provider, image string, b bearer) (map[string]Login, bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := ps.now()
	for k, c := range ps.cache {
		if !now.Before(c.until) {
			delete(ps.cache, k)
		}
	}
	for _, scope := range scopes(image) {
		if c, ok := ps.cache[cacheKey{p.Name, scope, b.scope}]; ok {
			return c.logins, true
		}
	}
	return nil, false
}

func (ps *Providers) remember(p provider, image string, b bearer, r response, logins map[string]Login) error {
	scope, known := scopes(image)[r.CacheKeyType]
	if !known {
		return fmt.Errorf("cacheKeyType %q: must be Image, Registry or Global", r.CacheKeyType)
	}
	keep := p.DefaultCacheDuration.Duration
	if r.CacheDuration != nil {
		keep = r.CacheDuration.Duration
	}
	if keep <= 0 {
		return nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.cache[cacheKey{p.Name, scope, b.scope}] = cached{logins, ps.now().Add(keep)}
	return nil
}

// response is a CredentialProviderResponse.
type response struct {
	metav1.TypeMeta `json:",inline"`
	CacheKeyType    string           `json:"cacheKeyType"`
	CacheDuration   *metav1.Duration `json:"cacheDuration,omitempty"`
	Auth            map[string]struct {
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"auth,omitempty"`
}

// request is a CredentialProviderRequest.
type request struct {
	metav1.TypeMeta `json:",inline"`
	Image           string            `json:"image"`
	Token           string            `json:"serviceAccountToken,omitempty"`
	Annotations     map[string]string `json:"serviceAccountAnnotations,omitempty"`
}

func (ps *Providers) run(ctx context.Context, p provider, image string, b bearer) (r response, err error) {
	in, err := json.Marshal(request{metav1.TypeMeta{Kind: "CredentialProviderRequest", APIVersion: pluginVersion}, image, b.token, b.annotations})
	if err != nil {
		return r, err
	}
	c := exec.Command(filepath.Join(ps.dir, p.Name), p.Args...)
	c.Env = os.Environ()
	for _, v := range p.Env {
		c.Env = append(c.Env, v.Name+"="+v.Value)
	}
	out, said, err := runPlugin(ctx, pluginTime, c, in)
	if err != nil {
		return r, fmt.Errorf("%w%s", err, words(said))
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, errors.New("its answer is not JSON")
	}
	if r.APIVersion != pluginVersion || r.Kind != "CredentialProviderResponse" {
		return r, fmt.Errorf("its answer is %q %q: must be %s CredentialProviderResponse", r.APIVersion, r.Kind, pluginVersion)
	}
	return r, nil
}
