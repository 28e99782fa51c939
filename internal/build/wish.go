package build

import (
	"os"

	"github.com/spf13/pflag"
)

// A Wish is the command line of `minato image build` while it is read.
type Wish struct {
	build                          Build
	args, labels, secrets, outputs []string
}

// Flags adds the flags to fl.
func (w *Wish) Flags(fl *pflag.FlagSet) {
	b := &w.build
	fl.StringArrayVarP(&b.Names, "tag", "t", nil, "name for the image; may be repeated")
	fl.StringVarP(&b.File, "file", "f", "", "the Dockerfile, - for standard input (default CONTEXT/Dockerfile)")
	fl.StringArrayVar(&w.args, "build-arg", nil, "KEY=VALUE for an ARG; KEY alone takes the environment's")
	fl.StringArrayVar(&w.labels, "label", nil, "KEY=VALUE, a label of the image")
	fl.StringArrayVar(&w.secrets, "secret", nil, "id=ID,src=FILE or id=ID,env=NAME, for RUN --mount=type=secret")
	fl.StringArrayVarP(&w.outputs, "output", "o", nil, "type=oci|docker,dest=FILE: write an archive and leave the node alone")
	fl.StringVar(&b.Target, "target", "", "stop at this stage")
	fl.BoolVar(&b.NoCache, "no-cache", false, "run every step anew")
	fl.BoolVar(&b.Pull, "pull", false, "ask registries whether base images have changed")
	fl.StringVar(&b.Platform, "platform", "", "only "+HostPlatform()+", this machine's")
	fl.StringVar(&b.Network, "network", "", "network of RUN steps: host or none")
	fl.StringVar(&b.Progress, "progress", "auto", "auto, plain, tty or quiet")
}

// Build is what the flags say, with the context that the argument names. ErrOrder is returned for what nobody can follow.
func (w *Wish) Build(context string) (b Build, err error) {
	b = w.build
	b.Context = context
	if err := CheckPlatform(b.Platform); err != nil {
		return b, err
	}
	if b.Args, err = ParseArgs(w.args, os.LookupEnv); err != nil {
		return b, err
	}
	if b.Labels, err = ParseArgs(w.labels, func(string) (string, bool) { return "", true }); err != nil {
		return b, err
	}
	for _, word := range w.secrets {
		s, err := ParseSecret(word, os.LookupEnv)
		if err != nil {
			return b, err
		}
		b.Secrets = append(b.Secrets, s)
	}
	for _, word := range w.outputs {
		o, err := ParseOutput(word)
		if err != nil {
			return b, err
		}
		b.Outputs = append(b.Outputs, o)
	}
	return b, b.Absolute()
}
