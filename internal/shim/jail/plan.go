package jail

import "github.com/opencontainers/cgroups"

// A plan is what makes a new container's namespaces and root file system, as cmd/minato-shim/build.c follows it.
type plan struct {
	namespaces      uint32   // made anew
	joins           []string // paths of those that exist
	rootPropagation uint32
	root, fifo      string
	steps           []step

	hierarchies []cgroups.Mount // of version 1
	room        *room           // nil: the container may not have it
}

// Kinds of steps and their flags.
const (
	stepFilesystem = 1 + iota
	stepBind
	stepDevice
	stepLink
	stepUnlink
	stepDirectory
	stepReadOnly
	stepMask
	stepRemountReadOnly
	stepRootReadOnly
)

const (
	flagRecursive = 1 << iota
	flagPlain
	flagReadOnlyFS
	flagLikeDest
	flagAttrs
)

// stepFixed is the part of a step that has one size.
type stepFixed struct {
	Kind, Flags                      uint32
	AttrSet, AttrClr, RecSet, RecClr uint64
	Propagation                      [4]uint32
	Mode, UID, GID, _                uint32
	Dev                              uint64
}

type step struct {
	fixed                    stepFixed
	dest, source, kind, data string
}

func (p *plan) strings() (out []string) {
	for _, s := range p.steps {
		out = append(out, s.dest, s.source, s.kind, s.data)
	}
	return out
}

func (p *plan) add(kind uint32, dest, source string) *step {
	p.steps = append(p.steps, step{fixed: stepFixed{Kind: kind}, dest: dest, source: source})
	return &p.steps[len(p.steps)-1]
}
