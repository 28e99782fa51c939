package script

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/bcrypt"
)

// registry start [USER:PASSWORD] starts Debian's docker-registry on a free loopback port and sets REGISTRY;
// registry push NAME:TAG PART... [-- entrypoint ...] pushes an image made as by the image command, as that user.
func registry(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) >= 1 && args[0] == "start":
		startRegistry(ts, strings.Join(args[1:], ""))
	case !neg && len(args) >= 3 && args[0] == "push":
		push(ts, args[1], args[2:])
	default:
		ts.Fatalf("usage: registry start [USER:PASSWORD] | registry push NAME:TAG PART ... [-- entrypoint ...]")
	}
}

func startRegistry(ts *testscript.TestScript, login string) {
	port, err := freePort()
	ts.Check(err)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	dir := ts.MkAbs("registry-" + fmt.Sprint(port))
	ts.Check(os.MkdirAll(dir, 0o755))
	config := fmt.Sprintf("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n", dir, addr)
	if login != "" {
		user, password, _ := strings.Cut(login, ":")
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		ts.Check(err)
		file := filepath.Join(dir, "htpasswd")
		ts.Check(os.WriteFile(file, []byte(user+":"+string(hash)+"\n"), 0o600))
		config += fmt.Sprintf("auth:\n  htpasswd:\n    realm: story\n    path: %s\n", file)
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	ts.Check(err)
	c := exec.Command("docker-registry", "serve", filepath.Join(dir, "config.yml"))
	c.Stdout, c.Stderr = log, log
	ts.Check(c.Start())
	ts.Defer(func() {
		_ = c.Process.Kill() // it may have ended by itself; Wait says how
		_ = c.Wait()
		log.Close()
	})
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("docker-registry does not answer: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
	ts.Setenv("REGISTRY", addr)
	ts.Setenv("REGISTRY_LOGIN", login)
}

func push(ts *testscript.TestScript, ref string, parts []string) {
	name, tag, _ := strings.Cut(ref, ":")
	var entry []string
	for i, p := range parts {
		if p == "--" {
			parts, entry = parts[:i], parts[i+1:]
			break
		}
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, p := range parts {
		if p != "busybox" {
			ts.Fatalf("registry push: part %q: only busybox", p)
		}
		ts.Check(addBusybox(w))
	}
	ts.Check(w.Close())
	config := imageConfig(layer.Bytes(), entry, "")
	manifest := encode(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
		"config": descriptor("application/vnd.docker.container.image.v1+json", config),
		"layers": []any{descriptor("application/vnd.docker.image.rootfs.diff.tar", layer.Bytes())},
	})
	base := "http://" + ts.Getenv("REGISTRY") + "/v2/" + name
	for _, b := range [][]byte{config, layer.Bytes()} {
		resp := send(ts, http.MethodPost, base+"/blobs/uploads/", "", nil)
		location := resp.Header.Get("Location")
		join := "?"
		if strings.Contains(location, "?") {
			join = "&"
		}
		send(ts, http.MethodPut, location+join+"digest="+digest(b), "application/octet-stream", b)
	}
	send(ts, http.MethodPut, base+"/manifests/"+tag, "application/vnd.docker.distribution.manifest.v2+json", manifest)
}

func send(ts *testscript.TestScript, method, url, contentType string, body []byte) *http.Response {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", contentType)
	if user, password, ok := strings.Cut(ts.Getenv("REGISTRY_LOGIN"), ":"); ok {
		req.SetBasicAuth(user, password)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode >= 300 {
		ts.Fatalf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	return resp
}
