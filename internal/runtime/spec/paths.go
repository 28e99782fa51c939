package spec

// paths hides parts of /proc and /sys as the client lists them; the client lists none for a privileged container or an
// unmasked /proc.
func (b *build) paths() error {
	if b.privileged() {
		return nil
	}
	b.spec.Linux.MaskedPaths = b.sec.GetMaskedPaths()
	b.spec.Linux.ReadonlyPaths = b.sec.GetReadonlyPaths()
	return nil
}
