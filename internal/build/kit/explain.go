package kit

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
)

// warn says what the frontend found questionable.
func warn(warnings []client.VertexWarning, out io.Writer) {
	for _, w := range warnings {
		at := ""
		if w.SourceInfo != nil && len(w.Range) > 0 && w.Range[0].Start != nil {
			at = fmt.Sprintf("%s:%d: ", w.SourceInfo.Filename, w.Range[0].Start.Line)
		}
		fmt.Fprintf(out, "warning: %s%s\n", at, w.Short)
	}
}

// explain shows the lines of the Dockerfile that err is about, and names the first of them.
func explain(err error, out io.Writer) error {
	sources := errdefs.Sources(err)
	for _, s := range sources {
		_ = s.Print(out) // a terminal that has gone misses it
	}
	text := plain(err)
	if at := position(sources); at != "" {
		text = at + ": " + text
	}
	return &Failure{text: text, err: err}
}

// A Failure is an error of the build itself, in words for whoever wrote the Dockerfile.
type Failure struct {
	text string
	err  error
}

// Error begins with the file and the line where they are known.
func (f *Failure) Error() string { return f.text }

// Unwrap returns BuildKit's error.
func (f *Failure) Unwrap() error { return f.err }

// position is FILE:LINE of the innermost source.
func position(sources []*errdefs.Source) string {
	if len(sources) == 0 {
		return ""
	}
	s := sources[len(sources)-1]
	if s.Info == nil || len(s.Ranges) == 0 || s.Ranges[0].Start == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", s.Info.Filename, s.Ranges[0].Start.Line)
}

// wrapping is what layers of BuildKit put before the reason.
var wrapping = regexp.MustCompile(`^(failed to solve: |rpc error: code = \w+ desc = |failed to read dockerfile: |dockerfile parse error on line \d+: )`)

// inner is what they put in the middle: how the HTTP client asked the node, and refs that nobody outside knows.
var inner = regexp.MustCompile(`(\S+: )?failed to resolve source metadata for \S+: |(failed to do request: )?(Head|Get) "http://node/[^"]*": |` +
	`failed to compute cache key: |failed to calculate checksum of ref \S+: |container \w+: cannot create container: `)

// plain leaves the reason.
func plain(err error) string {
	text := err.Error()
	for wrapping.MatchString(text) {
		text = wrapping.ReplaceAllString(text, "")
	}
	return strings.TrimSpace(inner.ReplaceAllString(text, ""))
}
