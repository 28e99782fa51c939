package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
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
	if s.Detached {
		if err := n.Engine.Start(ctx, c); err != nil {
			return startFailed(ctx, n, c, err)
		}
		fmt.Fprintln(e.out, c.ID)
		return nil
	}
	fg := &foreground{e: e, n: n, c: c}
	code, err := fg.run(ctx)
	n = fg.n
	if err == nil && code != 0 {
		err = exitError{code, nil}
	}
	return err
}

// create finds a free name where the user gave none.
func create(ctx context.Context, n *cluster.Node, s container.Spec) (container.Container, error) {
	nonce := make([]byte, 8)
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

// startFailed says what went wrong in the words and codes of docker; a container with --rm leaves nothing.
func startFailed(ctx context.Context, n *cluster.Node, c container.Container, err error) error {
	if c.Spec.Remove {
		err = errors.Join(err, n.Engine.Remove(ctx, c, true))
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
