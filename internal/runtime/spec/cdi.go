package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tags.cncf.io/container-device-interface/pkg/cdi"
)

// cdiDevices adds what the vendors of the named devices ask for: device nodes, mounts, environment, hooks. Devices are
// named by the client or, as older device plugins do it, by annotations. The vendors' files are read only where there is
// such a device.
func (b *build) cdiDevices() error {
	_, names, err := cdi.ParseAnnotations(b.Container.GetAnnotations())
	if err != nil {
		return err
	}
	for _, d := range b.Container.GetCDIDevices() {
		if !slices.Contains(names, d.GetName()) {
			names = append(names, d.GetName())
		}
	}
	if len(names) == 0 {
		return nil
	}
	cache, err := cdi.NewCache(cdi.WithSpecDirs(b.Node.CDIDirs...), cdi.WithAutoRefresh(false))
	if err != nil {
		return err
	}
	if missing, err := cache.InjectDevices(&b.spec, names...); err != nil {
		return fmt.Errorf("%w%s", err, unread(cache, missing))
	}
	return nil
}

// unread names the vendors' files that could not be read, among which a missing device may be.
func unread(cache *cdi.Cache, missing []string) string {
	bad := cache.GetErrors()
	if len(missing) == 0 || len(bad) == 0 {
		return ""
	}
	return " (not read: " + strings.Join(slices.Sorted(maps.Keys(bad)), ", ") + ")"
}
