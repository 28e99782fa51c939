package pki

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// DefaultContext is the name under which a cluster enters the user's kubeconfig where no other is given.
const DefaultContext = "minato"

// Kubeconfig is how one user reaches one cluster. Cluster, user and context all get the name Context.
type Kubeconfig struct {
	Context   string // DefaultContext where empty
	Server    string // "https://host:port"
	CAPEM     []byte
	Client    *Pair
	Namespace string
}

// AdminKubeconfig is the administrator's, for a server at url.
func (b *Bundle) AdminKubeconfig(context, url string) Kubeconfig {
	return Kubeconfig{Context: context, Server: url, CAPEM: b.CA.CertPEM, Client: b.Admin}
}

func (k Kubeconfig) name() string {
	if k.Context == "" {
		return DefaultContext
	}
	return k.Context
}

// previous names the extension of a context that holds which context was current before ours was merged.
const previous = "minato.dev/previous-context"

// addTo puts k's three entries into c, in place of others of the same name, and makes k's the current context.
func (k Kubeconfig) addTo(c *clientcmdapi.Config) {
	n := k.name()
	c.Clusters[n] = &clientcmdapi.Cluster{Server: k.Server, CertificateAuthorityData: k.CAPEM}
	c.AuthInfos[n] = &clientcmdapi.AuthInfo{ClientCertificateData: certOnly(k.Client.CertPEM), ClientKeyData: keyOnly(k.Client.KeyPEM)}
	context := &clientcmdapi.Context{Cluster: n, AuthInfo: n, Namespace: k.Namespace}
	if old := c.Contexts[n]; old != nil && old.Extensions[previous] != nil {
		context.Extensions = map[string]runtime.Object{previous: old.Extensions[previous]}
	}
	if c.CurrentContext != "" && c.CurrentContext != n {
		name, _ := json.Marshal(c.CurrentContext) // a string always is JSON
		context.Extensions = map[string]runtime.Object{previous: &runtime.Unknown{Raw: name, ContentType: runtime.ContentTypeJSON}}
	}
	c.Contexts[n] = context
	c.CurrentContext = n
}

// before is the context that was current before n was merged, or "" where there was none or it is gone.
func before(c *clientcmdapi.Config, n string) string {
	context := c.Contexts[n]
	if context == nil {
		return ""
	}
	u, ok := context.Extensions[previous].(*runtime.Unknown)
	if !ok {
		return ""
	}
	var name string
	if err := json.Unmarshal(u.Raw, &name); err != nil || c.Contexts[name] == nil || name == n {
		return ""
	}
	return name
}

// Bytes is k as a file of its own.
func (k Kubeconfig) Bytes() ([]byte, error) {
	c := clientcmdapi.NewConfig()
	k.addTo(c)
	return clientcmd.Write(*c)
}

// WriteFile writes k as a file of its own, mode 0600, unless the file already says the same.
func (k Kubeconfig) WriteFile(path string) error {
	data, err := k.Bytes()
	if err != nil {
		return fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return os.Chmod(path, 0o600)
	}
	if err := writeFile(path, 0o600, data); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// UserKubeconfigPath is the file that kubectl changes: the first of $KUBECONFIG, or ~/.kube/config.
func UserKubeconfigPath() string {
	return clientcmd.NewDefaultClientConfigLoadingRules().GetDefaultFilename()
}

// MergeKubeconfig adds k to the kubeconfig at path and makes it the current context. Everything else in the file stays.
func MergeKubeconfig(path string, k Kubeconfig) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	return changeKubeconfig(path, k.addTo)
}

// RemoveKubeconfig takes the cluster, user and context called context ("" for DefaultContext) out of the kubeconfig at path;
// where it was the current context, the one before it is current again. A file or an entry that is not there is no error.
func RemoveKubeconfig(path, context string) error {
	n := Kubeconfig{Context: context}.name()
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return nil
	}
	return changeKubeconfig(path, func(c *clientcmdapi.Config) {
		if c.CurrentContext == n {
			c.CurrentContext = before(c, n)
		}
		delete(c.Clusters, n)
		delete(c.AuthInfos, n)
		delete(c.Contexts, n)
	})
}

// changeKubeconfig reads, changes and replaces the file under kubectl's own lock.
func changeKubeconfig(path string, change func(*clientcmdapi.Config)) error {
	unlock, err := lockKubeconfig(path)
	if err != nil {
		return err
	}
	defer unlock()
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // replace the file, not the link
	}
	c, mode := clientcmdapi.NewConfig(), os.FileMode(0o600)
	var before []byte
	if st, err := os.Stat(path); err == nil {
		mode = st.Mode().Perm()
		if before, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("kubeconfig: %w", err)
		}
		if c, err = clientcmd.Load(before); err != nil {
			return fmt.Errorf("kubeconfig %s cannot be read, so it was left alone: %w", path, err)
		}
	}
	change(c)
	after, err := clientcmd.Write(*c)
	if err != nil {
		return fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	if string(after) == string(before) {
		return nil
	}
	return writeFile(path, mode, after)
}
