package spec

import (
	"errors"
	"fmt"
	"strings"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// labels sets the AppArmor profile and refuses SELinux labels where they would be enforced.
func (b *build) labels() error {
	if b.Node.SELinux && b.sec.GetSelinuxOptions() != nil && !b.privileged() {
		return errors.New("SELinux is enabled on this node, and giving containers a label of their own is not built yet")
	}
	profile, err := b.appArmor()
	if err != nil || b.privileged() {
		return err
	}
	b.spec.Process.ApparmorProfile = profile
	return nil
}

// appArmor returns the profile's name, "" for none. A profile that was asked for by name must hold; the runtime's own
// default is an extra where the kernel has AppArmor, and none is shipped yet.
func (b *build) appArmor() (string, error) {
	kind, name := b.appArmorWanted()
	if kind != cri.SecurityProfile_Localhost {
		return "", nil
	}
	if !b.Node.AppArmor {
		return "", fmt.Errorf("AppArmor profile %q is required, but AppArmor is not enabled on this node", name)
	}
	return name, nil
}

// appArmorWanted reads the field, and the older one where the newer is missing.
func (b *build) appArmorWanted() (cri.SecurityProfile_ProfileType, string) {
	if p := b.sec.GetApparmor(); p != nil {
		return p.GetProfileType(), strings.TrimPrefix(p.GetLocalhostRef(), "localhost/")
	}
	old := b.sec.GetApparmorProfile() //nolint:staticcheck // older clients send only this
	if name, ok := strings.CutPrefix(old, "localhost/"); ok {
		return cri.SecurityProfile_Localhost, name
	}
	return cri.SecurityProfile_Unconfined, ""
}
