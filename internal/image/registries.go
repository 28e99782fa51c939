package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// registriesFile is a registries.yaml as k3s reads it: mirrors by registry, and trust and logins by host.
type registriesFile struct {
	Mirrors map[string]struct {
		Endpoint []string          `json:"endpoint"`
		Rewrite  map[string]string `json:"rewrite"`
	} `json:"mirrors"`
	Configs map[string]registryConfig `json:"configs"`
}

type registryConfig struct {
	Auth *struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		Auth          string `json:"auth"`
		IdentityToken string `json:"identity_token"`
	} `json:"auth"`
	TLS *struct {
		CA         string `json:"ca_file"`
		Cert       string `json:"cert_file"`
		Key        string `json:"key_file"`
		SkipVerify bool   `json:"insecure_skip_verify"`
	} `json:"tls"`
}

// readRegistries reads the file anew, so that a change holds from the next pull on; a missing one says nothing.
func (s *Store) readRegistries() (f registriesFile, err error) {
	at := s.cfg.RegistriesFile
	if at == "" {
		return f, nil
	}
	raw, err := os.ReadFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	if err := yaml.UnmarshalStrict(raw, &f); err != nil {
		return f, fmt.Errorf("%s: %w", at, err)
	}
	for name, m := range f.Mirrors {
		if _, err := rewrites(m.Rewrite); err != nil {
			return f, fmt.Errorf("%s: mirrors %q: %w", at, name, err)
		}
	}
	return f, nil
}

// hosts says the same of one registry as a hosts.toml would; nil where the file has no mirror of it.
func (f registriesFile) hosts(registry, path string) *hostsFile {
	m, ok := f.Mirrors[registry]
	if !ok {
		if m, ok = f.Mirrors["*"]; !ok {
			return nil
		}
	}
	out := &hostsFile{path: path}
	names, err := rewrites(m.Rewrite)
	if err != nil {
		return nil // readRegistries has refused it
	}
	for _, at := range m.Endpoint {
		if !strings.Contains(at, "://") {
			at = "https://" + at
		}
		// k3s takes "https://host/v2" for the same as "https://host"
		out.hosts = append(out.hosts, hostsEntry{url: strings.TrimSuffix(strings.TrimSuffix(at, "/"), "/v2"), rewrite: names})
	}
	return out
}

// dress gives an endpoint what the file says of its host: trust, and a login for when the pull brings none.
func (s *Store) dress(e *endpoint, f registriesFile) (err error) {
	c, ok := f.Configs[e.base.Host]
	if !ok {
		if c, ok = f.Configs["*"]; !ok {
			return nil
		}
	}
	if c.Auth != nil {
		e.login = &Auth{Username: c.Auth.Username, Password: c.Auth.Password, Auth: c.Auth.Auth, IdentityToken: c.Auth.IdentityToken}
	}
	if c.TLS == nil {
		return nil
	}
	t := trust{skipVerify: c.TLS.SkipVerify}
	if c.TLS.CA != "" {
		t.ca = []string{c.TLS.CA}
	}
	if c.TLS.Cert != "" || c.TLS.Key != "" {
		t.client = [][]string{{c.TLS.Cert, c.TLS.Key}}
	}
	e.client, err = s.clientFor(t, e.dialTimeout)
	return err
}

// loginFor is what host e is shown: the registry itself gets the pull's login, or else what the node has for it; a
// mirror gets only what the node has for that.
func (s *session) loginFor(e *endpoint) Auth {
	if e.creds && s.auth != (Auth{}) {
		return s.auth
	}
	if e.login != nil {
		return *e.login
	}
	return Auth{}
}

// trust is how an endpoint and we prove to each other who we are.
type trust struct {
	ca         []string
	client     [][]string // certificate and key, or one file with both
	skipVerify bool
}

func (t trust) isZero() bool { return len(t.ca) == 0 && len(t.client) == 0 && !t.skipVerify }
