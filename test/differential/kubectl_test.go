package differential

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/internal/pki"
)

//go:embed kubectl
var kubectlStory embed.FS

// commandPatience is how long one command may take.
const commandPatience = 30 * time.Second

// A terminal is where one side's commands are run.
type terminal struct {
	dir  string // home, kubeconfig and the files that commands name
	env  []string
	net  *measure.Netns // where commands are run; nil: here
	node string         // name of the cluster's node, where it has one
}

// commands runs kubectl/everyday.txt against both sides with the kubectl of PATH and the one that is built here, and
// compares what users see: output, errors and exit codes.
func commands(t *testing.T, p *Pair, b *Both) {
	u, err := url.Parse(b.Upstream.URL())
	if err != nil {
		t.Fatal(err)
	}
	relay, err := StartRelay(t.Context(), func(ctx context.Context) (net.Conn, error) { return b.Upstream.Net.DialContext(ctx, "tcp", u.Host) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := relay.Close(); err != nil {
			t.Error(err)
		}
	}()
	story, err := kubectlStory.ReadFile("kubectl/everyday.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, which := range []struct{ ns, program string }{{"kubectl-path", "kubectl"}, {"kubectl-here", "../../bin/kubectl"}} {
		program, err := exec.LookPath(which.program)
		if err == nil {
			program, err = filepath.Abs(program)
		}
		if err != nil {
			t.Fatalf("%v: the machine's kubectl and that of `make build` are compared", err)
		}
		p.namespace(which.ns)
		ours := newTerminal(t, program, which.ns, b.Server.PKI, b.Ours.URL)
		theirs := newTerminal(t, program, which.ns, b.Upstream.PKI(), "https://"+relay.Addr())
		for line := range strings.Lines(string(story)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				p.command("kubectl/"+which.ns, line, ours, theirs)
			}
		}
	}
}

func newTerminal(t *testing.T, program, ns string, bundle *pki.Bundle, server string) *terminal {
	config := bundle.AdminKubeconfig("cluster", server)
	config.Namespace = ns
	x, err := bareTerminal(t, program, ns)
	if err = errors.Join(err, config.WriteFile(filepath.Join(x.dir, "kubeconfig"))); err != nil {
		t.Fatal(err)
	}
	return x
}

// bareTerminal has everything but a kubeconfig.
func bareTerminal(t *testing.T, program, ns string) (*terminal, error) {
	x := &terminal{dir: t.TempDir()}
	files, err := fs.Sub(kubectlStory, "kubectl/files")
	err = errors.Join(err, os.Mkdir(filepath.Join(x.dir, "bin"), 0o755),
		os.Symlink(program, filepath.Join(x.dir, "bin/kubectl")), os.CopyFS(filepath.Join(x.dir, "files"), files))
	x.env = []string{"HOME=" + x.dir, "KUBECONFIG=" + filepath.Join(x.dir, "kubeconfig"), "PATH=" + filepath.Join(x.dir, "bin") + ":/usr/bin:/bin",
		"NS=" + ns, "TZ=UTC", "LC_ALL=C", "TMPDIR=" + x.dir}
	return x, err
}

// output is what one command has said.
type output struct {
	stdout, stderr string
	exit           int
}

func (x *terminal) run(ctx context.Context, line string) (output, error) {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	c := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	if x.net != nil {
		c = x.net.Command(ctx, "/bin/sh", "-c", line)
	}
	c.Dir, c.Env = filepath.Join(x.dir, "files"), x.env
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what the shell has started ends with it
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	err := c.Run()
	if exit := (*exec.ExitError)(nil); ctx.Err() == nil && errors.As(err, &exit) {
		err = nil
	}
	return output{x.neutral(stdout.String()), x.neutral(stderr.String()), c.ProcessState.ExitCode()}, err
}

// command runs one line on both sides and notes how they differ, line by line.
func (p *Pair) command(who, line string, ours, theirs *terminal) {
	p.t.Helper()
	var wg sync.WaitGroup
	var o, t output
	var errOurs, errTheirs error
	wg.Go(func() { o, errOurs = ours.run(p.t.Context(), line) })
	wg.Go(func() { t, errTheirs = theirs.run(p.t.Context(), line) })
	began := time.Now()
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second {
		p.t.Logf("%s: %s took %s", who, line, took)
	}
	if err := errors.Join(errOurs, errTheirs); err != nil {
		p.t.Errorf("%s: %v\n%s\n%s", line, err, o.stderr, t.stderr)
	}
	p.Asked++
	var ds []Difference
	if o.exit != t.exit {
		ds = append(ds, Difference{Where: "exit", Ours: fmt.Sprint(o.exit, " ", o.stderr), Theirs: fmt.Sprint(t.exit, " ", t.stderr)})
	}
	ds = append(ds, p.pairs.lines("stdout", o.stdout, t.stdout)...)
	ds = append(ds, p.pairs.lines("stderr", o.stderr, t.stderr)...)
	p.note(who+"/"+line, Request{Method: who, Path: line}, ds)
}

func (p *pairing) lines(where, ours, theirs string) (out []Difference) {
	o, t := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	for i := range max(len(o), len(t)) {
		a, b := "(none)", "(none)"
		if i < len(o) {
			a = o[i]
		}
		if i < len(t) {
			b = t[i]
		}
		if !p.same("", a, b) {
			out = append(out, Difference{Where: where, Ours: a, Theirs: b})
			if len(o) != len(t) {
				return out // from here on they tell of different things
			}
		}
	}
	return out
}

var (
	ages     = regexp.MustCompile(`\b(\d+m\d+s|\d+s|\d{1,2}m)\b`)
	numbered = regexp.MustCompile(`("resourceVersion": ")\d+`)
	dates    = regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d [+-]\d{4}`)
	logged   = regexp.MustCompile(`(?m)^([EWI])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ `)
	spaces   = regexp.MustCompile(`  +|-{5,}`)
	jwts     = regexp.MustCompile(`\beyJ[\w-]+\.[\w-]+\.[\w-]+`)
	ported   = regexp.MustCompile(`((?i:node ?port): +|[:/ ])(<unset> +)?3(?:[01]\d{3}|2[0-6]\d\d|27[0-5]\d|276[0-7])\b`)
	broken   = regexp.MustCompile(`(?m)^E<when> reflector\.go:.*context deadline exceeded.*\n`) // kubectl's time may be over while it asks
	editing  = regexp.MustCompile(`kubectl-edit-\d+|LIVE-\d+|MERGED-\d+`)
)

// neutral takes out of a text what two runs of one command on one server would not have in common. The widths of
// columns depend on ages and addresses.
func (x *terminal) neutral(s string) string {
	s = x.podsNeutral(strings.ReplaceAll(s, x.dir, "<home>"))
	s = numbered.ReplaceAllString(s, "${1}<revision>")
	s = dates.ReplaceAllString(s, "<date>")
	s = logged.ReplaceAllString(s, "${1}<when> ")
	s = broken.ReplaceAllString(s, "")
	s = jwts.ReplaceAllStringFunc(s, claims)
	s = ported.ReplaceAllString(s, "${1}<port>")
	s = editing.ReplaceAllString(s, "<file>")
	s = instant.ReplaceAllStringFunc(s, instantClass)
	s = ages.ReplaceAllString(s, "<age>")
	return spaces.ReplaceAllString(s, "  ")
}
