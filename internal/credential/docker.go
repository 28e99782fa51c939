package credential

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Docker is a docker config.json. It is read again at each question, so that `docker login` works at once; a file that
// is not there knows nothing.
type Docker struct {
	Path string
}

var _ Source = Docker{}

// UserDocker is the configuration of the user who runs this process: $DOCKER_CONFIG or ~/.docker.
func UserDocker() (Docker, error) {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return Docker{filepath.Join(dir, "config.json")}, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return Docker{}, err
	}
	return Docker{filepath.Join(home, ".docker", "config.json")}, nil
}

type dockerFile struct {
	Auths map[string]struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
		RegistryToken string `json:"registrytoken"`
	} `json:"auths"`
	CredHelpers map[string]string `json:"credHelpers"`
	CredsStore  string            `json:"credsStore"`
}

// Logins implements Source: a registry's own helper goes before the file, the common store comes last.
func (d Docker) Logins(ctx context.Context, image string, _ *Pod) ([]Login, error) {
	raw, err := os.ReadFile(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var f dockerFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Path, err)
	}
	out, err := f.logins(ctx, image)
	if err != nil {
		err = fmt.Errorf("%s: %w", d.Path, err)
	}
	return out, err
}

func (f dockerFile) logins(ctx context.Context, image string) (out []Login, err error) {
	var errs []error
	host, _, _ := strings.Cut(Qualified(image), "/")
	add := func(helper, server string) {
		l, err := askHelper(ctx, helper, server)
		if err != nil {
			errs = append(errs, err)
		} else if !l.IsZero() {
			out = append(out, l)
		}
	}
	for _, p := range Match(f.CredHelpers, image) {
		add(f.CredHelpers[p], p)
	}
	for _, p := range Match(f.Auths, image) {
		a := f.Auths[p]
		l := Login{a.Username, a.Password, a.IdentityToken, a.RegistryToken}
		if a.Auth != "" {
			if l.Username, l.Password, err = decodeAuth(a.Auth); err != nil {
				errs = append(errs, fmt.Errorf("auths %q: %w", p, err))
				continue
			}
		}
		if !l.IsZero() { // an empty entry means: it is in the store
			out = append(out, l)
		}
	}
	if f.CredsStore != "" && len(out) == 0 {
		server := host
		if host == dockerHub {
			server = "https://" + dockerHub + "/v1/"
		}
		add(f.CredsStore, server)
	}
	return out, errors.Join(errs...)
}

func decodeAuth(auth string) (user, password string, err error) {
	raw, err := base64.StdEncoding.DecodeString(auth)
	if err != nil {
		return "", "", errors.New("its auth field is no base64")
	}
	user, password, ok := strings.Cut(strings.TrimRight(string(raw), "\x00"), ":")
	if !ok {
		return "", "", errors.New("its auth field holds no user:password")
	}
	return user, password, nil
}
