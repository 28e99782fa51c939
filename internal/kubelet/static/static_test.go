package static

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/run"
)

const manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: i}]}\n"

func TestParse(t *testing.T) {
	p, err := Parse([]byte(manifest), "/etc/web.yaml", "node1")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "web-node1" || p.Namespace != "default" || p.Spec.NodeName != "node1" || len(p.UID) != 32 || p.Annotations[Source] != "file" || p.Annotations[Hash] != string(p.UID) {
		t.Errorf("pod is %+v", p.ObjectMeta)
	}
	if p.Spec.RestartPolicy != corev1.RestartPolicyAlways || p.Spec.Containers[0].ImagePullPolicy != corev1.PullAlways || p.Spec.Tolerations[0].Effect != corev1.TaintEffectNoExecute {
		t.Errorf("spec is %+v", p.Spec)
	}
	other, err := Parse([]byte(manifest), "/etc/other.yaml", "node1")
	if err != nil || other.UID == p.UID {
		t.Error("two files are one pod", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: v1\nkind: Node\nmetadata: {name: x}":                             "holds a Node, not a Pod",
		"apiVersion: v1\nkind: Pod\nmetadata: {}":                                     "name is needed",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}":      "spec.containers: Required value",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {container: []}":       `unknown field "spec.container"`,
		strings.Replace(manifest, "spec: {", "spec: {serviceAccountName: x, ", 1):     "static pods may not reference serviceaccounts",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: ": "yaml",
		"": "Object 'Kind' is missing",
	} {
		if _, err := Parse([]byte(text), "f", "n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestReadAndWatch(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(".hidden", manifest)
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed, ready := make(chan struct{}, 100), make(chan struct{})
	scope := run.NewScope(ctx)
	scope.Go("watch", func(ctx context.Context) error {
		return Watch(ctx, dir, func() { close(ready) }, func() { changed <- struct{}{} })
	})
	<-ready
	if files, err := Read(dir, "n"); err != nil || len(files) != 0 {
		t.Fatal(files, err)
	}
	put("web.yaml", manifest)
	put("bad.yaml", "kind: Pod")
	<-changed
	files, err := Read(dir, "n")
	if err != nil || len(files) != 2 || files["web.yaml"].Pod == nil || files["bad.yaml"].Err == nil {
		t.Errorf("files are %v, %v", files, err)
	}
	cancel()
	if err := scope.Wait(); err != nil {
		t.Error(err)
	}
	if err := Watch(t.Context(), filepath.Join(dir, "none"), func() {}, func() {}); err == nil {
		t.Error("a directory that is not there is watched")
	}
}

// What lies in a directory may be anything.
func FuzzParse(f *testing.F) {
	f.Add([]byte(manifest))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{}]}}`))
	f.Fuzz(func(_ *testing.T, raw []byte) { _, _ = Parse(raw, "f", "n") })
}
