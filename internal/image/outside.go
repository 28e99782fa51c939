package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// An outside is a run of the node's xz or bzip2, as docker load has it: the formats are rare, and decoders would weigh more
// than they are worth. Memory is bounded, by what the largest of xz's own presets needs.
type outside struct {
	cmd   *exec.Cmd
	out   io.ReadCloser
	said  bytes.Buffer
	err   error
	ended bool
}

// outsideArgs are the programs' arguments.
var outsideArgs = map[string][]string{
	"xz":    {"--decompress", "--stdout", "--threads=1", "--memlimit-decompress=128MiB"},
	"bzip2": {"--decompress", "--stdout"},
}

// decompressBy has a program decompress r, of which it may read on until it is closed or has returned an error.
func decompressBy(program string, r io.Reader) (io.ReadCloser, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%w: it is compressed by %s, and that program is not on this node; install it (on Debian: apt-get install xz-utils bzip2), or use gzip or zstd", ErrLayer, program)
	}
	x := &outside{cmd: exec.Command(path, outsideArgs[program]...)}
	x.cmd.Stdin, x.cmd.Stderr = r, &x.said
	if x.out, err = x.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return x, x.cmd.Start()
}

// Read implements io.Reader; io.EOF comes only where the program found everything right.
func (x *outside) Read(b []byte) (int, error) {
	if x.ended {
		return 0, x.err
	}
	n, err := x.out.Read(b)
	if errors.Is(err, io.EOF) {
		if err = x.wait(); err == nil {
			x.err = io.EOF
		}
		err = x.err
	}
	return n, err
}

// wait takes the end of the program, and of the reading of its input.
func (x *outside) wait() error {
	x.ended = true
	var failed *exec.ExitError
	x.err = x.cmd.Wait()
	if errors.As(x.err, &failed) {
		x.err = fmt.Errorf("%w: %s", ErrLayer, strings.TrimSpace(x.said.String()))
	}
	return x.err
}

// Close ends the program.
func (x *outside) Close() error {
	if x.ended {
		return nil
	}
	_ = x.cmd.Process.Kill() // it may have ended by itself
	_ = x.wait()             // nobody asks for what it would have said
	x.err = io.ErrClosedPipe
	return nil
}
