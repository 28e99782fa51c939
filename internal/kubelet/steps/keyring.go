package steps

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// keyring maps registry patterns ("host", "host/path", "*.host:port") to credentials.
type keyring map[string][]*runtimeapi.AuthConfig

// keyring reads the pod's image pull secrets. Those that cannot be read are named in missing.
func (n *Node) keyring(ctx context.Context, pod *corev1.Pod) (k keyring, missing []string) {
	k = keyring{}
	for _, r := range pod.Spec.ImagePullSecrets {
		if r.Name == "" {
			continue
		}
		s, err := n.Objects.Secret(ctx, pod.Namespace, r.Name)
		if err != nil || k.add(s) != nil {
			missing = append(missing, r.Name)
		}
	}
	return k, missing
}

type dockerAuth struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// add takes the credentials of a secret of type dockerconfigjson or dockercfg.
func (k keyring) add(s *corev1.Secret) error {
	auths := map[string]dockerAuth{}
	if raw, ok := s.Data[corev1.DockerConfigJsonKey]; ok && s.Type == corev1.SecretTypeDockerConfigJson {
		file := struct {
			Auths map[string]dockerAuth `json:"auths"`
		}{auths}
		if err := json.Unmarshal(raw, &file); err != nil {
			return err
		}
		auths = file.Auths
	} else if raw, ok := s.Data[corev1.DockerConfigKey]; ok && s.Type == corev1.SecretTypeDockercfg {
		if err := json.Unmarshal(raw, &auths); err != nil {
			return err
		}
	}
	for registry, a := range auths {
		k.put(registry, a)
	}
	return nil
}

func (k keyring) put(registry string, a dockerAuth) {
	if raw, err := base64.StdEncoding.DecodeString(a.Auth); err == nil && a.Auth != "" {
		if user, pass, ok := strings.Cut(string(raw), ":"); ok {
			a.Username, a.Password = user, strings.TrimRight(pass, "\x00")
		}
	}
	key := strings.TrimPrefix(strings.TrimPrefix(registry, "https://"), "http://")
	for _, suffix := range []string{"/", "/v1", "/v2"} {
		key = strings.TrimSuffix(key, suffix)
	}
	k[key] = append(k[key], &runtimeapi.AuthConfig{Username: a.Username, Password: a.Password,
		IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken, ServerAddress: registry})
}

// match returns the credentials for an image, those of the longest pattern first.
func (k keyring) match(image string) []*runtimeapi.AuthConfig {
	name := image
	if first, _, ok := strings.Cut(image, "/"); !ok || !strings.ContainsAny(first, ".:") && first != "localhost" {
		name = "index.docker.io/" + image
	}
	patterns := make([]string, 0, len(k))
	for p := range k {
		patterns = append(patterns, p)
	}
	slices.SortFunc(patterns, func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(b, a)
	})
	var out []*runtimeapi.AuthConfig
	for _, p := range patterns {
		if matches(p, name) {
			out = append(out, k[p]...)
		}
	}
	return out
}

// matches compares host parts one by one (each may be a glob), the port exactly and the path as a prefix.
func matches(pattern, image string) bool {
	if pattern == "docker.io" {
		pattern = "index.docker.io"
	}
	p, err1 := url.Parse("https://" + pattern)
	i, err2 := url.Parse("https://" + image)
	if err1 != nil || err2 != nil || p.Port() != i.Port() || !strings.HasPrefix(i.Path, p.Path) {
		return false
	}
	ps, is := strings.Split(p.Hostname(), "."), strings.Split(i.Hostname(), ".")
	if len(ps) != len(is) {
		return false
	}
	for n := range ps {
		if ok, err := path.Match(ps[n], is[n]); err != nil || !ok {
			return false
		}
	}
	return true
}
