package steps

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/credential"
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
	key := credential.Bare(registry)
	k[key] = append(k[key], &runtimeapi.AuthConfig{Username: a.Username, Password: a.Password,
		IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken, ServerAddress: registry})
}

// match returns the credentials for an image, those of the longest pattern first.
func (k keyring) match(image string) (out []*runtimeapi.AuthConfig) {
	for _, p := range credential.Match(k, image) {
		out = append(out, k[p]...)
	}
	return out
}

// logins are what to show to the registry of an image: the pod's own secrets first, then what the node knows.
func (n *Node) logins(ctx context.Context, pod *corev1.Pod, k keyring, image string) []*runtimeapi.AuthConfig {
	out := k.match(image)
	for _, l := range n.Logins.Logins(ctx, image, n.bearer(pod)) {
		out = append(out, &runtimeapi.AuthConfig{Username: l.Username, Password: l.Password, IdentityToken: l.IdentityToken, RegistryToken: l.RegistryToken})
	}
	return out
}

// bearer is what credential providers may learn of a pod: its service account, and a token of that, bound to the pod.
func (n *Node) bearer(pod *corev1.Pod) *credential.Pod {
	ns, account := pod.Namespace, pod.Spec.ServiceAccountName
	return &credential.Pod{Namespace: ns, ServiceAccount: account,
		Account: func(ctx context.Context) (string, map[string]string, error) {
			sa, err := client.Of(n.Client, client.ServiceAccounts).Get(ctx, ns, account)
			if err != nil {
				return "", nil, err
			}
			return string(sa.UID), sa.Annotations, nil
		},
		Token: func(ctx context.Context, audience string) (string, error) {
			got, err := n.Token(ctx, ns, account, &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{Audiences: []string{audience},
				BoundObjectRef: &authv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}})
			if err != nil {
				return "", err
			}
			return got.Status.Token, nil
		}}
}
