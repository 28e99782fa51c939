package credential

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMatch(t *testing.T) {
	patterns := map[string]bool{"https://index.docker.io/v1/": true, "quay.io": true, "quay.io/team": true, "*.example.org": true,
		"*.example.org:5000": true, "127.0.0.1:5000": true}
	for image, want := range map[string]string{
		"nginx":                  "[https://index.docker.io/v1/]",
		"docker.io/library/a:1":  "[https://index.docker.io/v1/]",
		"quay.io/team/x":         "[quay.io/team quay.io]",
		"quay.io/other":          "[quay.io]",
		"a.example.org/x":        "[*.example.org]",
		"a.example.org:5000/x":   "[*.example.org:5000]",
		"a.b.example.org/x":      "[]",
		"127.0.0.1:5000/x@sha:1": "[127.0.0.1:5000]",
		"127.0.0.1:5001/x":       "[]",
	} {
		if got := fmt.Sprint(Match(patterns, image)); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

func TestDockerConfig(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	write(t, dir+"/docker-credential-good", `#!/bin/sh
read server
case "$1 $server" in
"get helped.org") echo '{"ServerURL":"helped.org","Username":"h","Secret":"hs"}' ;;
"get token.org") echo '{"Username":"<token>","Secret":"refresh"}' ;;
"get https://index.docker.io/v1/") echo '{"Username":"hub","Secret":"s"}' ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac
`, 0o755)
	write(t, dir+"/docker-credential-bad", "#!/bin/sh\necho 'the vault is sealed' >&2\nexit 3\n", 0o755)
	d := Docker{write(t, dir+"/config.json", `{"auths":{"plain.org":{"auth":"dTpw"},"split.org":{"username":"a","password":"b"},
		"stored.org":{},"broken.org":{"auth":"%"},"id.org":{"identitytoken":"x"}},
		"credHelpers":{"helped.org":"good","token.org":"good","sealed.org":"bad","none.org":"missing","evil.org":"../x"},"credsStore":"good"}`, 0o600)}
	for image, want := range map[string]string{
		"plain.org/x:1":   "[{u p  }] <nil>",
		"split.org/x":     "[{a b  }] <nil>",
		"id.org/x":        "[{  x }] <nil>",
		"helped.org/x":    "[{h hs  }] <nil>",
		"token.org/x":     "[{  refresh }] <nil>",
		"nginx":           "[{hub s  }] <nil>",
		"stored.org/x":    "[] <nil>",
		"elsewhere.org/x": "[] <nil>",
		"sealed.org/x":    "exit status 3: the vault is sealed",
		"none.org/x":      "docker-credential-missing",
		"evil.org/x":      "must be a name without slashes",
		"broken.org/x":    "its auth field is no base64",
	} {
		got, err := d.Logins(t.Context(), image, nil)
		if text := fmt.Sprint(got, " ", err); !strings.Contains(text, want) {
			t.Errorf("%s: %s, want %s", image, text, want)
		}
	}
	if got, err := (Docker{dir + "/none.json"}).Logins(t.Context(), "plain.org/x", nil); err != nil || got != nil {
		t.Errorf("no file: %v, %v", got, err)
	}
}

const config = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: plugin
  matchImages: ["*.example.org", "docker.io"]
  defaultCacheDuration: 10m
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [get]
  env: [{name: KEY, value: k}]
`

func TestProviders(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/plugin", `#!/bin/sh
echo x >>`+dir+`/asked
image=$(sed 's/.*"image":"\([^"]*\)".*/\1/')
echo "$image $1 $KEY" >>`+dir+`/images
case $image in
a.example.org/bad*) echo no >&2; exit 1 ;;
a.example.org/odd*) echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Moon"}' ;;
a.example.org/*) echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"1m","auth":{"*.example.org":{"username":"u","password":"p"}}}' ;;
b.example.org/*) echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Image","cacheDuration":"0s","auth":{"b.example.org":{"username":"b","password":"p"}}}' ;;
*) echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Image","auth":{}}' ;;
esac
`, 0o755)
	ps, err := OpenProviders(write(t, dir+"/config.yaml", config, 0o600), dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ps.now = func() time.Time { return now }
	asked := func() int {
		b, err := os.ReadFile(filepath.Join(dir, "asked"))
		if err != nil {
			return 0
		}
		return strings.Count(string(b), "x")
	}
	for i, c := range []struct {
		image, want string
		asked       int
		later       time.Duration
	}{
		{"a.example.org/x:1", "[{u p  }] <nil>", 1, 0},
		{"a.example.org/y:1", "[{u p  }] <nil>", 1, 0}, // good for the whole registry
		{"a.example.org/y:1", "[{u p  }] <nil>", 2, 2 * time.Minute},
		{"b.example.org/x", "[{b p  }] <nil>", 3, 0}, // not to be kept
		{"b.example.org/x", "[{b p  }] <nil>", 4, 0},
		{"nginx", "[] <nil>", 5, 0},
		{"nginx", "[] <nil>", 5, 0}, // that there is nothing is kept too
		{"nginx", "[] <nil>", 6, 11 * time.Minute},
		{"a.example.org/bad", "credential provider plugin: exit status 1: no", 7, 0},
		{"a.example.org/odd", `cacheKeyType "Moon"`, 8, 0},
		{"quay.io/x", "[] <nil>", 8, 0},
	} {
		now = now.Add(c.later)
		got, err := ps.Logins(t.Context(), c.image, nil)
		if text := fmt.Sprint(got, " ", err); !strings.Contains(text, c.want) || asked() != c.asked {
			t.Errorf("%d %s: %s after %d questions, want %s after %d", i, c.image, text, asked(), c.want, c.asked)
		}
	}
	images, err := os.ReadFile(dir + "/images")
	if err != nil || !strings.HasPrefix(string(images), "a.example.org/x:1 get k\n") || !strings.Contains(string(images), "docker.io/nginx get k\n") {
		t.Errorf("the plugin was asked %q, %v", images, err)
	}
}

func TestProviderConfigIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/plugin", "#!/bin/sh\n", 0o755)
	write(t, dir+"/plain", "", 0o644)
	for change, want := range map[string]string{
		"kubelet.config.k8s.io/v1|kubelet.config.k8s.io/v1alpha1": "must be kubelet.config.k8s.io/v1, CredentialProviderConfig",
		"name: plugin|name: ../x":                                 "must be a file name",
		"name: plugin|name: missing":                              "no such file",
		"name: plugin|name: plain":                                "not executable",
		"  defaultCacheDuration: 10m\n|":                          "defaultCacheDuration: must be given",
		`["*.example.org", "docker.io"]|[]`:                       "at least one pattern",
		"args: [get]|typo: 1":                                     "typo",
		"args: [get]|tokenAttributes: {cacheType: Token}":         "serviceAccountTokenAudience: must be given",
		"args: [get]|tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token}":                                                                                                                    "requireServiceAccount: must be given",
		"args: [get]|tokenAttributes: {serviceAccountTokenAudience: a, cacheType: T, requireServiceAccount: true}":                                                                                           "must be Token or ServiceAccount",
		"args: [get]|tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token, requireServiceAccount: false, requiredServiceAccountAnnotationKeys: [x]}":                                           "need requireServiceAccount",
		"args: [get]|tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token, requireServiceAccount: true, requiredServiceAccountAnnotationKeys: [x], optionalServiceAccountAnnotationKeys: [x]}": "named twice",
		"provider.kubelet.k8s.io/v1|provider.kubelet.k8s.io/v9":                                                                                                                                              "apiVersion",
	} {
		from, to, _ := strings.Cut(change, "|")
		text := strings.Replace(config, from, to, 1)
		_, err := OpenProviders(write(t, dir+"/config.yaml", text, 0o600), dir)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", change, err, want)
		}
	}
}

// TestProviderTokens: a provider that wants a token is asked with one of the pod's account, or not at all, and its answers are
// other pods' only where the account is the same.
func TestProviderTokens(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/plugin", "#!/bin/sh\ncat >>"+dir+`/asked; echo >>`+dir+`/asked
echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Global","cacheDuration":"1h","auth":{"a.example.org":{"username":"u","password":"p"}}}'
`, 0o755)
	for _, c := range []struct {
		attributes string
		pods       []*Pod
		asked      string // of each question: token, annotations
	}{
		{"{serviceAccountTokenAudience: reg, cacheType: ServiceAccount, requireServiceAccount: true, requiredServiceAccountAnnotationKeys: [id], optionalServiceAccountAnnotationKeys: [more]}",
			[]*Pod{aPod("ns", "a", "id=7"), aPod("ns", "a", "id=7"), aPod("ns", "b", "id=8,more=9,other=1"), aPod("ns", "c", ""), aPod("ns", "", ""), nil},
			"1/reg/ns/a {id:7} 3/reg/ns/b {id:8,more:9}"},
		{"{serviceAccountTokenAudience: reg, cacheType: Token, requireServiceAccount: false}",
			[]*Pod{aPod("ns", "a", ""), aPod("ns", "a", ""), aPod("ns", "", ""), nil},
			"1/reg/ns/a  2/reg/ns/a   "},
	} {
		text := strings.Replace(config, "args: [get]", "tokenAttributes: "+c.attributes, 1)
		ps, err := OpenProviders(write(t, dir+"/config.yaml", text, 0o600), dir)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir+"/asked", "", 0o600)
		for i, p := range c.pods {
			if p != nil {
				token := fmt.Sprint(i+1, "/")
				p.Token = func(_ context.Context, audience string) (string, error) {
					return token + audience + "/" + p.Namespace + "/" + p.ServiceAccount, nil
				}
			}
			if _, err := ps.Logins(t.Context(), "a.example.org/x", p); err != nil {
				t.Error(err)
			}
		}
		raw, err := os.ReadFile(dir + "/asked")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(raw)) {
			r := request{}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			shown, err := json.Marshal(r.Annotations)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Token+" "+strings.NewReplacer(`"`, "", "null", "").Replace(string(shown)))
		}
		if text := strings.Join(got, " "); text != c.asked {
			t.Errorf("%s: asked %q, want %q", c.attributes, text, c.asked)
		}
	}
}

// aPod has an account with annotations "a=b,c=d".
func aPod(ns, account, annotations string) *Pod {
	found := map[string]string{}
	for a := range strings.SplitSeq(annotations, ",") {
		if k, v, ok := strings.Cut(a, "="); ok {
			found[k] = v
		}
	}
	return &Pod{Namespace: ns, ServiceAccount: account, Account: func(context.Context) (string, map[string]string, error) { return "uid-" + account, found, nil }}
}
