package spec

import (
	"fmt"
	"os"
	"strings"

	"github.com/moby/profiles/seccomp"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// seccomp sets the filter: the default profile fitted to the container's capabilities, a file of the node, or none.
func (b *build) seccomp() error {
	if b.privileged() {
		return nil
	}
	kind, file := b.seccompWanted()
	switch kind {
	case cri.SecurityProfile_Unconfined:
		return nil
	case cri.SecurityProfile_RuntimeDefault:
		profile, err := seccomp.GetDefaultProfile(&b.spec)
		b.spec.Linux.Seccomp = profile
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot load seccomp profile %q: %w", file, err)
	}
	profile, err := seccomp.LoadProfile(string(text), &b.spec)
	if err != nil {
		return fmt.Errorf("cannot load seccomp profile %q: %w", file, err)
	}
	b.spec.Linux.Seccomp = profile
	return nil
}

// seccompWanted reads the field, and the older one where the newer is missing.
func (b *build) seccompWanted() (cri.SecurityProfile_ProfileType, string) {
	if p := b.sec.GetSeccomp(); p != nil {
		return p.GetProfileType(), p.GetLocalhostRef()
	}
	old := b.sec.GetSeccompProfilePath() //nolint:staticcheck // older clients send only this
	switch {
	case old == "runtime/default" || old == "docker/default":
		return cri.SecurityProfile_RuntimeDefault, ""
	case strings.HasPrefix(old, "localhost/"):
		return cri.SecurityProfile_Localhost, strings.TrimPrefix(old, "localhost/")
	}
	return cri.SecurityProfile_Unconfined, ""
}
