package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestExitCodesAndMessages(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		code int
		want string // part of either stream
	}{
		{"version", 0, "Kubernetes API v1.37.2"},
		{"--help", 0, "minato up --detach"},
		{"up --help", 0, "--data-dir"},
		{"completion bash", 0, "minato"},
		{"nonsense", 1, "unknown command"},
		{"up --bogus", 2, "see `minato up --help`"},
		{"up --port 0x --data-dir " + dir, 2, "invalid argument"},
		{"up --port 70000 --data-dir " + dir, 2, "must be between 1 and 65535"},
		{"up --log-level loud --data-dir " + dir, 2, "must be debug, info, warn or error"},
		{"up --config /nowhere --data-dir " + dir, 2, "/nowhere"},
		{"status --data-dir " + dir, 3, "start one with `minato up`"},
		{"image ls --data-dir " + dir, 1, "no cluster in"},
		{"image nonsense", 1, "unknown command"},
		{"image", 0, "pull"},
		{"kubectl --data-dir " + dir + " get nodes", 1, "start one with `minato up`"},
		{"image load", 2, "must be given and nothing else"},
		{"image tag a", 2, "IMAGE and NAME must be given"},
		{"image rm", 2, "IMAGE is missing; see `minato image rm --help`"},
		{"image save --format zip x --data-dir " + dir, 2, "must be oci-archive or docker-archive"},
		{"image push --help", 0, "minato image push --user me:secret"},
		{"image prune --help", 0, "--dry-run"},
		{"run", 125, "IMAGE is missing"},
		{"run --bogus x", 125, "see `minato run --help`"},
		{"run -p 80 x", 125, "must be [IP:]HOST:CONTAINER"},
		{"run -v data:x x", 125, "must be an absolute path"},
		{"run --restart always x", 125, "needs --detach"},
		{"run -d --rm --restart always x", 125, "exclude each other"},
		{"run --network none -p 1:1 x", 125, "no ports of its own"},
		{"run --network other x", 125, "must be bridge, host or none"},
		{"run -m lots x", 125, "--memory: size"},
		{"run -m 1k x", 125, "at least 1m"},
		{"run --env-file /nowhere x", 125, "/nowhere"},
		{"run --pull now x", 125, "must be missing, always or never"},
		{"run --name -x x", 125, "must be 1 to 63 letters"},
		{"run --help", 0, "minato run -d --name web -p 8080:80"},
		{"ps --data-dir " + dir, 0, "CONTAINER ID"},
		{"ps -o yaml --data-dir " + dir, 2, "must be json"},
		{"logs web --data-dir " + dir, 1, "no such container: web"},
		{"exec --data-dir " + dir + " web", 2, "is missing"},
		{"stop --data-dir " + dir, 2, "CONTAINER is missing"},
		{"rm web --data-dir " + dir, 1, "no such container: web"},
		{"image pull --user nobody x --data-dir " + dir, 2, "NAME:PASSWORD"},
		{"down --data-dir " + filepath.Join(dir, "none"), 0, "No cluster was ever started"},
	} {
		var out, errOut bytes.Buffer
		code := Main("v0", strings.Fields(c.args), &out, &errOut)
		if text := out.String() + errOut.String(); code != c.code || !strings.Contains(text, c.want) {
			t.Errorf("minato %s: code %d, %q; want %d, %q", c.args, code, text, c.code, c.want)
		}
	}
}

func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	for name, c := range map[string]struct {
		args, yaml, variable string
		want                 int
		fails                string
	}{
		"default":            {"", "", "", 1, ""},
		"file":               {"", "port: 2", "", 2, ""},
		"variable over file": {"", "port: 2", "3", 3, ""},
		"flag over all":      {"--port 4", "port: 2", "3", 4, ""},
		"unknown key":        {"", "prot: 2", "", 0, `unknown key "prot"`},
		"bad value":          {"", "port: many", "", 0, `port "many"`},
		"bad variable":       {"", "", "x", 0, "MINATO_PORT"},
		"broken file":        {"", "port: [", "", 0, "config.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("MINATO_PORT", c.variable)
			cmd := &cobra.Command{Use: "x"}
			port := cmd.Flags().Int("port", 1, "")
			cmd.Flags().String("config", file, "")
			if err := cmd.ParseFlags(strings.Fields(c.args)); err != nil {
				t.Fatal(err)
			}
			err := settings(cmd, file, true)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("error %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil || *port != c.want {
				t.Errorf("port %d, error %v; want %d", *port, err, c.want)
			}
		})
	}
}

func TestTakeDataDir(t *testing.T) {
	t.Setenv("MINATO_DATA_DIR", "")
	for in, want := range map[string]string{
		"get pods": "/var/lib/minato|get pods", "--data-dir /x get pods": "/x|get pods", "--data-dir=/x get": "/x|get",
		"get --data-dir /x": "/var/lib/minato|get --data-dir /x",
	} {
		dir, rest := takeDataDir(strings.Fields(in))
		if got := dir + "|" + strings.Join(rest, " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestClusterless(t *testing.T) {
	for args, want := range map[string]bool{
		"": true, "--help": true, "get --help": true, "help get": true, "completion bash": true, "version --client": true,
		"get nodes": false, "version": false, "exec p -- ls --help": false,
	} {
		if got := clusterless(strings.Fields(args)); got != want {
			t.Errorf("kubectl %s: needs no cluster: %v, want %v", args, got, want)
		}
	}
}
