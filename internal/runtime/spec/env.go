package spec

import "strings"

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment merges, the later over the earlier: defaults, the image's, the container's.
func (b *build) environment() error {
	env := []string{defaultPath}
	if b.Hostname != "" {
		env = append(env, "HOSTNAME="+b.Hostname)
	}
	if b.Container.GetTty() {
		env = append(env, "TERM=xterm")
	}
	env = append(env, b.Image.Env...)
	for _, e := range b.Container.GetEnvs() {
		env = append(env, e.GetKey()+"="+string(e.GetValue()))
	}
	b.spec.Process.Env = merge(env)
	return nil
}

// merge keeps the last value of each name, at the place where the name came first.
func merge(env []string) []string {
	at := map[string]int{}
	var out []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if i, ok := at[name]; ok {
			out[i] = e
			continue
		}
		at[name] = len(out)
		out = append(out, e)
	}
	return out
}
