package apiserver_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"minato.dev/minato/internal/apiserver/apiservertest"
)

// kubectl runs the machine's own kubectl against s.
func kubectl(t *testing.T, s *apiservertest.Server, stdin string, args ...string) string {
	t.Helper()
	out, err := tryKubectl(t, s, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryKubectl(t *testing.T, s *apiservertest.Server, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", append([]string{"--server=" + s.URL}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func TestKubectl(t *testing.T) {
	s := apiservertest.Start(t)
	for _, c := range []struct {
		args, stdin string
		want        []string
	}{
		{"version", "", []string{"Server Version: v1.37"}},
		{"api-resources", "", []string{"deployments", "deploy", "apps/v1"}},
		{"get namespaces", "", []string{"NAME", "STATUS", "default", "Active"}},
		{"create deployment web --image=minato.local/hello --replicas=3", "", []string{"deployment.apps/web created"}},
		{"get deployments", "", []string{"READY", "0/3"}},
		{"scale deployment web --replicas=5", "", []string{"deployment.apps/web scaled"}},
		{"get deployment web -o jsonpath={.spec.replicas}", "", []string{"5"}},
		{"expose deployment web --port=80 --type=NodePort", "", []string{"service/web exposed"}},
		{"get service web -o yaml", "", []string{"clusterIP: 10.", "nodePort: 3"}},
		{"set image deployment/web hello=minato.local/hello:2", "", []string{"image updated"}},
		{"label deployment web tier=front", "", []string{"labeled"}},
		{"annotate deployment web note=x", "", []string{"annotated"}},
		{"get all -A", "", []string{"service/web", "deployment.apps/web"}},
		{"run hello --image=minato.local/hello --port=80", "", []string{"pod/hello created"}},
		{"get pods -o wide", "", []string{"hello", "Pending"}},
		{"describe pod hello", "", []string{"QoS Class:", "Pending"}},
		{"apply -f -", configMap("c", `{"a":"b"}`), []string{"configmap/c created"}},
		{"apply -f -", configMap("c", `{"a":"c"}`), []string{"configmap/c configured"}},
		{"apply --server-side -f -", configMap("d", `{"a":"b"}`), []string{"configmap/d serverside-applied"}},
		{"get configmap c -o json", "", []string{`"a": "c"`}},
		{"explain pod.spec", "", []string{"containers"}},
		{"get pods -l run=hello --field-selector=status.phase=Pending", "", []string{"hello"}},
		{"patch deployment web -p {\"spec\":{\"replicas\":1}}", "", []string{"patched"}},
		{"rollout status deployment web --timeout=60s --watch=false", "", []string{"Waiting"}},
		{"delete pod hello --wait=false", "", []string{`pod "hello" deleted`}},
		{"delete deployment,service --all", "", []string{`"web" deleted`}},
		{"create namespace n", "", []string{"namespace/n created"}},
		{"create serviceaccount sa -n n", "", []string{"created"}},
		{"auth can-i create pods", "", []string{"yes"}},
		{"auth whoami", "", []string{"admin"}},
		{"get componentstatuses", "", []string{"etcd-0", "Healthy"}},
		{"get --raw /healthz", "", []string{"ok"}},
	} {
		out := kubectl(t, s, c.stdin, strings.Fields(c.args)...)
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("kubectl %s: no %q in:\n%s", c.args, w, out)
			}
		}
	}
}
