package pki

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

const others = `apiVersion: v1
kind: Config
current-context: work
clusters:
- cluster: {server: "https://work:6443", certificate-authority: work/ca.crt}
  name: work
contexts:
- context: {cluster: work, user: me, namespace: team}
  name: work
users:
- name: me
  user: {token: abc}
`

func TestMergeAndRemove(t *testing.T) {
	b := must(t, t.TempDir(), names, time.Now())
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(others), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := MergeKubeconfig(path, b.AdminKubeconfig("", "https://127.0.0.1:6443")); err != nil {
		t.Fatal(err)
	}
	if err := MergeKubeconfig(path, b.AdminKubeconfig("second", "https://127.0.0.1:7443")); err != nil {
		t.Fatal(err)
	}
	c, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.CurrentContext != "second" || c.Clusters["minato"].Server != "https://127.0.0.1:6443" || c.Clusters["second"].Server != "https://127.0.0.1:7443" {
		t.Errorf("merged: %+v", c)
	}
	if c.AuthInfos["me"].Token != "abc" || c.Contexts["work"].Namespace != "team" || c.Clusters["work"].CertificateAuthority != "work/ca.crt" {
		t.Errorf("other entries changed: %+v", c)
	}
	if rest, err := clientcmd.NewNonInteractiveClientConfig(*c, "minato", nil, nil).ClientConfig(); err != nil || len(rest.KeyData) == 0 {
		t.Errorf("client configuration: %v", err)
	}
	if err := MergeKubeconfig(path, b.AdminKubeconfig("second", "https://127.0.0.1:7443")); err != nil { // a second start
		t.Fatal(err)
	}
	for range 2 {
		if err := RemoveKubeconfig(path, "second"); err != nil {
			t.Fatal(err)
		}
	}
	if c, err = clientcmd.LoadFromFile(path); err != nil || len(c.Contexts) != 2 || c.CurrentContext != "minato" {
		t.Errorf("after removal: %v %+v", err, c)
	}
	if err := RemoveKubeconfig(path, ""); err != nil {
		t.Fatal(err)
	}
	if c, err = clientcmd.LoadFromFile(path); err != nil || len(c.Contexts) != 1 || c.CurrentContext != "work" {
		t.Errorf("after both are gone: %v %+v", err, c)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", st.Mode())
	}
}

func TestMergeManyAtOnce(t *testing.T) {
	b := must(t, t.TempDir(), names, time.Now())
	path := filepath.Join(t.TempDir(), "sub", "config")
	var wg sync.WaitGroup
	for _, n := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			if err := MergeKubeconfig(path, b.AdminKubeconfig(n, "https://"+n)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if c, err := clientcmd.LoadFromFile(path); err != nil || len(c.Contexts) != 4 {
		t.Errorf("%v, contexts %v", err, c)
	}
}

func TestUnreadableKubeconfigIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	os.WriteFile(path, []byte("{{{"), 0o600)
	b := must(t, t.TempDir(), names, time.Now())
	if err := MergeKubeconfig(path, b.AdminKubeconfig("", "https://x")); err == nil {
		t.Error("no error")
	}
	if data, _ := os.ReadFile(path); string(data) != "{{{" {
		t.Errorf("file is now %q", data)
	}
}

func TestStaleLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	os.WriteFile(path+".lock", nil, 0o600)
	old := time.Now().Add(-time.Hour)
	os.Chtimes(path+".lock", old, old)
	b := must(t, t.TempDir(), names, time.Now())
	if err := MergeKubeconfig(path, b.AdminKubeconfig("", "https://x")); err != nil {
		t.Error(err)
	}
}

func TestRemoveWithoutFile(t *testing.T) {
	if err := RemoveKubeconfig(filepath.Join(t.TempDir(), "none"), ""); err != nil {
		t.Error(err)
	}
}

func TestLinkStays(t *testing.T) {
	b := must(t, t.TempDir(), names, time.Now())
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "config")
	if err := os.WriteFile(real, []byte(others), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := MergeKubeconfig(link, b.AdminKubeconfig("", "https://x")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced by a file", err)
	}
	if c, err := clientcmd.LoadFromFile(real); err != nil || len(c.Contexts) != 2 {
		t.Error(err, c)
	}
}
