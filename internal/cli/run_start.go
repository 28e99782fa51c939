package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"path"
	"slices"
	"strings"

	"minato.dev/minato/internal/cluster"
	"minato.dev/minato/internal/container"
)

// runContainer makes the container and, unless it is detached, stays with it to its end.
func (e *env) runContainer(ctx context.Context, f *runFlags) error {
	n, err := e.reach(ctx)
	if err != nil {
		return err
	}
	defer func() { n.Close() }()
	d, err := e.haveImage(ctx, f)
	if err != nil {
		return err
	}
	s := f.spec
	s.ImageID, s.Command = d.ID, shown(f.spec, d)
	s.Volumes = withImages(s.Volumes, d.Config.Volumes)
	if len(s.Command) == 0 {
		return fmt.Errorf("the image %s says no command: give one after its name", s.Image)
	}
	if !s.Detached {
		s.Owner = container.ThisProcess()
	}
	ctx = context.WithoutCancel(ctx) // from here on signals are the container's
	c, err := create(ctx, n, s)
	if err != nil {
		return err
	}
	if f.only {
		fmt.Fprintln(e.out, c.Handle())
		return nil
	}
	if s.Detached {
		if err := n.Engine.Start(ctx, c); err != nil {
			return startFailed(ctx, n, c, err)
		}
		fmt.Fprintln(e.out, c.Handle())
		return nil
	}
	fg := &foreground{e: e, n: n, c: c, detach: f.detach.keys, signal: true}
	code, err := fg.run(ctx, func(ctx context.Context) error { return startOr(ctx, n, c, n.Engine.Start(ctx, c)) })
	n = fg.n
	if err == nil && code != 0 {
		err = exitError{code, nil}
	}
	return err
}

// withImages adds the volumes that the image asks for and the user has not given: they have no name.
func withImages(given []container.Volume, asked map[string]struct{}) []container.Volume {
	for _, at := range slices.Sorted(maps.Keys(asked)) {
		if !slices.ContainsFunc(given, func(v container.Volume) bool { return path.Clean(v.Container) == path.Clean(at) }) {
			given = append(given, container.Volume{Container: at, Anonymous: true})
		}
	}
	return given
}

// create finds a free name where the user gave none.
func create(ctx context.Context, n *cluster.Node, s container.Spec) (container.Container, error) {
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return container.Container{}, err
	}
	s.Nonce = hex.EncodeToString(nonce)
	given := s.Name != ""
	for range 20 {
		if !given {
			s.Name = newName()
		}
		c, err := n.Engine.Create(ctx, s)
		if given || !errors.Is(err, container.ErrNameTaken) {
			return c, err
		}
	}
	return container.Container{}, errors.New("no free name was found: give one with --name")
}

// startOr is startFailed where err is one.
func startOr(ctx context.Context, n *cluster.Node, c container.Container, err error) error {
	if err != nil {
		err = startFailed(ctx, n, c, err)
	}
	return err
}

// startFailed says what went wrong in the words and codes of docker; a container with --rm leaves nothing.
func startFailed(ctx context.Context, n *cluster.Node, c container.Container, err error) error {
	if c.Spec.Remove {
		err = errors.Join(err, n.Engine.Remove(ctx, c, true, true))
	}
	text, code := err.Error(), exitOurs
	switch {
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"):
		code = exitNotFound
	case strings.Contains(text, "permission denied"), strings.Contains(text, "exec format error"), strings.Contains(text, "is a directory"):
		code = exitNotRun
	}
	return exitError{code, err}
}

// The two words of a name.
var (
	manners = strings.Fields("calm bold brisk clear deft eager fair fond keen kind light merry mild neat proud quick quiet ready sharp steady swift warm wise young")
	things  = strings.Fields("anchor barge beacon bosun buoy capstan crane cutter deck dinghy dock ferry galley harbour jetty keel lantern mast pilot quay rudder sail schooner tide tug wharf")
)

func newName() string { return pick(manners) + "_" + pick(things) }

func pick(words []string) string {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(words))))
	if err != nil {
		return words[0]
	}
	return words[n.Int64()]
}
