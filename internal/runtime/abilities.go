package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/pin"
)

const (
	// askTime bounds how long a program may take to say what it can do.
	askTime = 10 * time.Second
	// askLater is how long after Status has met a program that it does not know that is asked: a node that starts has
	// better to do.
	askLater = time.Second
)

// abilities is what other OCI runtimes can do, as they say themselves. To ask one is to start it, which costs more than
// everything else that Status does, so the answers are kept on disk for as long as the programs are the same files, and Status
// does not wait for those that are missing:
//
//	Status meets an unknown program ──► wanted ──► after askLater it is asked ──► on disk; Config.Changed
//
// Safe for concurrent use. Losing the file costs asking again.
type abilities struct {
	file   string // "": in memory only
	log    *slog.Logger
	wanted chan struct{}

	asking sync.Mutex // one question at a time

	mu   sync.Mutex
	said map[string]ability // by path
}

// ability is what a program said when it was this file.
type ability struct {
	Inode   uint64    `json:"inode"`
	Size    int64     `json:"size"`
	Changed time.Time `json:"changed"`
	Mounts  []string  `json:"mounts,omitempty"` // mount options that it knows
	Shifts  bool      `json:"shifts"`           // it joins user namespaces, and mounts with their owners
}

func (a ability) features() *api.RuntimeHandlerFeatures {
	return &api.RuntimeHandlerFeatures{RecursiveReadOnlyMounts: slices.Contains(a.Mounts, "rro"), UserNamespaces: a.Shifts && pin.CanShift()}
}

// sameFile says whether b was said by the same file.
func (a ability) sameFile(b ability) bool {
	return a.Inode == b.Inode && a.Size == b.Size && a.Changed.Equal(b.Changed)
}

// openAbilities reads what is remembered in dir.
func openAbilities(dir string, log *slog.Logger) *abilities {
	a := &abilities{file: filepath.Join(dir, "abilities.json"), log: log, wanted: make(chan struct{}, 1), said: map[string]ability{}}
	b, err := os.ReadFile(a.file)
	if err == nil {
		err = json.Unmarshal(b, &a.said)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what other OCI runtimes can do is forgotten, and is asked again", "err", err)
	}
	return a
}

// look is the file at path, without what it says.
func look(path string) (ability, error) {
	st, err := os.Stat(path)
	if err != nil {
		return ability{}, err
	}
	a := ability{Size: st.Size(), Changed: st.ModTime()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		a.Inode = sys.Ino
	}
	return a, nil
}

// known is what the program at path has said; a program that has gone can do nothing.
func (a *abilities) known(path string) (ability, bool) {
	now, err := look(path)
	if err != nil {
		return ability{}, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	said, ok := a.said[path]
	return said, ok && said.sameFile(now)
}

// want has what is not known asked for soon.
func (a *abilities) want() {
	select {
	case a.wanted <- struct{}{}:
	default:
	}
}

// of asks the program unless it is known. One that does not know the question is taken to know nothing beyond the oldest
// specification; one that does not answer too, until it is asked again.
func (a *abilities) of(ctx context.Context, path string) ability {
	a.asking.Lock()
	defer a.asking.Unlock()
	if said, ok := a.known(path); ok {
		return said
	}
	said, err := look(path)
	if err != nil {
		return ability{}
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "features").Output()
	if refused := (*exec.ExitError)(nil); ctx.Err() != nil || err != nil && !errors.As(err, &refused) { // it was never asked
		return ability{}
	}
	var answer struct {
		MountOptions []string `json:"mountOptions"`
		Linux        struct {
			MountExtensions struct {
				IDMap struct {
					Enabled bool `json:"enabled"`
				} `json:"idmap"`
			} `json:"mountExtensions"`
		} `json:"linux"`
	}
	if err == nil && json.Unmarshal(out, &answer) == nil {
		said.Mounts, said.Shifts = answer.MountOptions, answer.Linux.MountExtensions.IDMap.Enabled
	} else if err != nil {
		said.Shifts = shiftedEarly(ctx, path)
	}
	a.remember(path, said)
	return said
}

// shiftedEarly reports whether the program is a crun that could do so before it could say so: 1.8 is held to it by a test.
func shiftedEarly(ctx context.Context, path string) bool {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	var major, minor int
	n, _ := fmt.Sscanf(string(out), "crun version %d.%d", &major, &minor)
	return err == nil && n == 2 && (major > 1 || major == 1 && minor >= 8)
}

func (a *abilities) remember(path string, said ability) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.said, func(path string, _ ability) bool {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
	a.said[path] = said
	if err := a.write(); err != nil {
		a.log.Warn("what an OCI runtime can do is asked again at the next start", "program", path, "err", err)
	}
}

func (a *abilities) write() error {
	b, err := json.Marshal(a.said)
	if err != nil {
		return err
	}
	tmp := a.file + ".tmp"
	return errors.Join(os.WriteFile(tmp, b, 0o600), os.Rename(tmp, a.file))
}

// ask is features for who cannot do without.
func (s *Server) ask(ctx context.Context, handler string) *api.RuntimeHandlerFeatures {
	path, err := s.program(handler)
	if err != nil || path == "" {
		return s.features(handler)
	}
	return s.abilities.of(ctx, path).features()
}

// learn asks, until ctx ends, the programs that Status has met and does not know.
func (s *Server) learn(ctx context.Context) error {
	for {
		select {
		case <-s.abilities.wanted:
		case <-ctx.Done():
			return nil
		}
		select {
		case <-time.After(askLater):
		case <-ctx.Done():
			return nil
		}
		if s.askAll(ctx) && s.cfg.Changed != nil {
			s.cfg.Changed()
		}
	}
}

// askAll reports whether it has learnt anything: who does not answer is asked again at the next Status.
func (s *Server) askAll(ctx context.Context) (learnt bool) {
	for _, h := range s.handlers() {
		if s.features(h) == nil {
			s.ask(ctx, h)
			learnt = learnt || s.features(h) != nil
		}
	}
	return learnt
}
