package kit

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/session/upload/uploadprovider"
	"github.com/moby/buildkit/util/archiveutil"
	"github.com/tonistiigi/fsutil"

	"minato.dev/minato/internal/build"
)

// sources gives BuildKit the context and the Dockerfile: directories, or what comes on standard input.
//
//	context  file   context from          Dockerfile from
//	DIR      ""     DIR                   DIR/Dockerfile
//	DIR      FILE   DIR                   FILE, wherever it is
//	DIR      -      DIR                   standard input
//	-        any    archive on stdin      FILE in the archive
//	-        ""     nothing               standard input, where that is no archive
func (e *engine) sources(opt *client.SolveOpt, b build.Build, std Streams) error {
	if b.Context == "-" {
		return e.fromStdin(opt, b, std)
	}
	context, err := fsutil.NewFS(b.Context)
	if err != nil {
		return fmt.Errorf("context: %w", err)
	}
	file := b.File
	switch file {
	case "":
		file = filepath.Join(b.Context, "Dockerfile")
	case "-":
		if file, err = e.keepDockerfile(std.In); err != nil {
			return err
		}
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("%w: Dockerfile: %w; name another with -f", build.ErrOrder, err)
	}
	dir, err := fsutil.NewFS(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("Dockerfile: %w", err)
	}
	opt.LocalMounts = map[string]fsutil.FS{"context": context, "dockerfile": dir}
	opt.FrontendAttrs["filename"] = filepath.Base(file)
	return tellSyntax(file, std.Err)
}

// fromStdin looks at the first bytes to learn what comes.
func (e *engine) fromStdin(opt *client.SolveOpt, b build.Build, std Streams) error {
	in := bufio.NewReader(std.In)
	head, err := in.Peek(512)
	if len(head) == 0 {
		return fmt.Errorf("%w: nothing came on standard input: %w", build.ErrOrder, err)
	}
	if archiveutil.IsArchive(head) {
		up := uploadprovider.New()
		opt.FrontendAttrs["context"] = up.Add(io.NopCloser(in))
		if b.File != "" {
			opt.FrontendAttrs["filename"] = b.File
		}
		opt.Session = append(opt.Session, up)
		return nil
	}
	if b.File != "" {
		return fmt.Errorf("%w: a Dockerfile came on standard input, so -f %s does not fit", build.ErrOrder, b.File)
	}
	file, err := e.keepDockerfile(in)
	if err != nil {
		return err
	}
	dir, err := fsutil.NewFS(filepath.Dir(file))
	if err != nil {
		return err
	}
	empty, err := fsutil.NewFS(e.subDir("context"))
	if err != nil {
		return err
	}
	opt.LocalMounts = map[string]fsutil.FS{"context": empty, "dockerfile": dir}
	return tellSyntax(file, std.Err)
}

// maxDockerfile bounds what is read from standard input.
const maxDockerfile = 4 << 20

// keepDockerfile writes what comes to a file, alone in its directory.
func (e *engine) keepDockerfile(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxDockerfile+1))
	if err != nil {
		return "", fmt.Errorf("read the Dockerfile: %w", err)
	}
	if len(text) > maxDockerfile {
		return "", fmt.Errorf("%w: the Dockerfile on standard input is larger than %d bytes", build.ErrOrder, maxDockerfile)
	}
	file := filepath.Join(e.subDir("dockerfile"), "Dockerfile")
	return file, os.WriteFile(file, text, 0o600)
}

// subDir is a directory of this build; prepare made its parent, and the file that is to be written says if it is not there.
func (e *engine) subDir(name string) string {
	dir := filepath.Join(tmpDir(e.place), name)
	_ = os.MkdirAll(dir, 0o700)
	return dir
}

// tellSyntax says that a frontend which the Dockerfile names is not fetched.
func tellSyntax(file string, out io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if name, _, at, ok := parser.DetectSyntax(text); ok {
		line := 1
		if len(at) > 0 {
			line = at[0].Start.Line
		}
		fmt.Fprintf(out, "%s:%d: the built-in frontend is used in place of %s\n", filepath.Base(file), line, name)
	}
	return nil
}
