package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// helperTime is how long a helper may take; some ask a server of theirs.
const helperTime = 30 * time.Second

// askHelper runs docker-credential-NAME for a server. A helper that knows nothing of it gives no Login and no error.
func askHelper(ctx context.Context, name, server string) (Login, error) {
	program := "docker-credential-" + name
	if strings.ContainsAny(name, "/\x00") {
		return Login{}, fmt.Errorf("credential helper %q: must be a name without slashes", name)
	}
	out, said, err := runPlugin(ctx, helperTime, exec.Command(program, "get"), []byte(server))
	if err != nil {
		// The protocol's only error: helpers say it on their standard output and exit with 1.
		if text := string(out) + said; strings.Contains(text, "credentials not found") {
			return Login{}, nil
		}
		return Login{}, fmt.Errorf("credential helper %s: %w%s", program, err, words(said))
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return Login{}, fmt.Errorf("credential helper %s: its answer is not JSON", program)
	}
	if answer.Username == "<token>" {
		return Login{IdentityToken: answer.Secret}, nil
	}
	return Login{Username: answer.Username, Password: answer.Secret}, nil
}

// runPlugin runs a program with in as its standard input and returns what it wrote.
func runPlugin(ctx context.Context, most time.Duration, c *exec.Cmd, in []byte) (out []byte, said string, err error) {
	if c.Err != nil {
		return nil, "", c.Err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("it did not answer within %s", most))
	defer cancel()
	run := exec.CommandContext(ctx, c.Path, c.Args[1:]...)
	run.Env = c.Env
	run.WaitDelay = time.Second // something that it started may hold its output open
	var stdout, stderr bytes.Buffer
	run.Stdin, run.Stdout, run.Stderr = bytes.NewReader(in), &stdout, &stderr
	if err = run.Run(); err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return stdout.Bytes(), stderr.String(), err
}

// words is what a program said about its failure, one line.
func words(said string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if line == "" {
		return ""
	}
	return ": " + line[:min(len(line), 300)]
}
