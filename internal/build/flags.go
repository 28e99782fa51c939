package build

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// ParseArgs reads KEY=VALUE words; a bare KEY takes its value from the environment, and nothing where that has none.
func ParseArgs(words []string, lookup func(string) (string, bool)) (map[string]string, error) {
	out := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if key == "" {
			return nil, fmt.Errorf("%w: build argument %q: write KEY=VALUE", ErrOrder, w)
		}
		if !ok {
			if value, ok = lookup(key); !ok {
				continue
			}
		}
		out[key] = value
	}
	return out, nil
}

// ParseSecret reads id=ID,src=FILE or id=ID,env=NAME; with an id alone, the variable of that name, else the file.
func ParseSecret(word string, lookup func(string) (string, bool)) (Secret, error) {
	s := Secret{}
	kind := ""
	err := fields(word, func(key, value string) error {
		switch key {
		case "id":
			s.ID = value
		case "src", "source":
			s.Src = value
		case "env":
			s.Env = value
		case "type":
			kind = value
		default:
			return fmt.Errorf("%s is none of id, src, env and type", key)
		}
		return nil
	})
	switch {
	case err != nil:
		return s, fmt.Errorf("%w: secret %q: %w", ErrOrder, word, err)
	case s.ID == "":
		return s, fmt.Errorf("%w: secret %q: write id=ID,src=FILE or id=ID,env=NAME", ErrOrder, word)
	case s.Src != "" && s.Env != "", kind != "" && kind != "file" && kind != "env":
		return s, fmt.Errorf("%w: secret %q: it comes from a file (src=) or from a variable (env=)", ErrOrder, word)
	case kind == "env" && s.Env == "":
		s.Env, s.Src = s.Src, "" // docker's type=env,src=NAME
	}
	if s.Src == "" && s.Env == "" {
		if _, ok := lookup(s.ID); ok && kind != "file" {
			s.Env = s.ID
		} else {
			s.Src = s.ID
		}
	}
	return s, nil
}

// ParseOutput reads type=oci|docker,dest=FILE; "-" is standard output.
func ParseOutput(word string) (Output, error) {
	var o Output
	err := fields(word, func(key, value string) error {
		switch key {
		case "type":
			o.Type = value
		case "dest":
			o.Dest = value
		default:
			return fmt.Errorf("%s is neither type nor dest", key)
		}
		return nil
	})
	switch {
	case err != nil:
		return o, fmt.Errorf("%w: output %q: %w", ErrOrder, word, err)
	case o.Type != "oci" && o.Type != "docker":
		return o, fmt.Errorf("%w: output %q: type is oci or docker; without --output the image goes into this node", ErrOrder, word)
	case o.Dest == "":
		return o, fmt.Errorf("%w: output %q: say where to with dest=FILE", ErrOrder, word)
	}
	return o, nil
}

// fields reads one line of comma separated key=value words, quoted as CSV is.
func fields(word string, each func(key, value string) error) error {
	words, err := csv.NewReader(strings.NewReader(word)).Read()
	if err != nil {
		return err
	}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return fmt.Errorf("%q is no key=value", w)
		}
		if err := each(strings.ToLower(key), value); err != nil {
			return err
		}
	}
	return nil
}

// HostPlatform is what images are built for.
func HostPlatform() string { return "linux/" + runtime.GOARCH }

// CheckPlatform accepts the host's platform and refuses others: their programs do not run here.
func CheckPlatform(p string) error {
	if p == "" || p == HostPlatform() || p == runtime.GOARCH {
		return nil
	}
	return fmt.Errorf("%w: platform %s: this machine builds for %s only; build for others on machines of their own", ErrOrder, p, HostPlatform())
}

// Absolute makes the paths in b absolute, and says which of them is not there.
func (b *Build) Absolute() (err error) {
	if b.Context != "-" {
		if b.Context, err = existing(b.Context, true); err != nil {
			return fmt.Errorf("%w: context: %w", ErrOrder, err)
		}
	}
	if b.File != "" && b.File != "-" && b.Context != "-" {
		if b.File, err = existing(b.File, false); err != nil {
			return fmt.Errorf("%w: Dockerfile: %w", ErrOrder, err)
		}
	}
	for i, s := range b.Secrets {
		if s.Src == "" {
			continue
		}
		if b.Secrets[i].Src, err = existing(s.Src, false); err != nil {
			return fmt.Errorf("%w: secret %s: %w", ErrOrder, s.ID, err)
		}
	}
	for i, o := range b.Outputs {
		if o.Dest == "-" {
			continue
		}
		if b.Outputs[i].Dest, err = filepath.Abs(o.Dest); err != nil {
			return fmt.Errorf("%w: output: %w", ErrOrder, err)
		}
	}
	return nil
}

func existing(path string, dir bool) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st.IsDir() != dir {
		if dir {
			return "", fmt.Errorf("%s is no directory; a context is one, or - for an archive on standard input", path)
		}
		return "", fmt.Errorf("%s is a directory", path)
	}
	return filepath.Abs(path)
}

// ParseSize reads bytes with an optional unit: 0, 500M, 2G, 1.5GiB.
func ParseSize(word string) (int64, error) {
	units := []struct {
		suffix string
		bytes  float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"", 1}}
	for _, u := range units {
		digits, ok := strings.CutSuffix(word, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || !(n >= 0 && n*u.bytes < 1<<60) {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%w: size %q: write bytes, or 500M, 2G, 1.5GiB", ErrOrder, word)
}
