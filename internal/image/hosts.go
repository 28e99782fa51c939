package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// hostsFile is what a hosts.toml, in the form that containerd reads, says about one registry.
type hostsFile struct {
	path   string
	server string // in place of the registry's own address
	hosts  []hostsEntry
}

// hostsEntry is one [host."URL"] section.
type hostsEntry struct {
	url          string
	capabilities []string
	trust        trust
	overridePath bool
	header       http.Header
	dialTimeout  time.Duration // 0: the usual
	rewrite      []rewrite     // of the repository's name
}

// parseHosts reads a hosts.toml. What is not understood is an error that names it.
func parseHosts(text string) (f hostsFile, err error) {
	t, err := parseTOML(text)
	if err != nil {
		return f, err
	}
	own := newTable() // keys outside of a section are of the registry itself
	for _, k := range t.keys {
		switch v := t.values[k]; k {
		case "server":
			if f.server, err = asString(v); err != nil {
				return f, fmt.Errorf("server: %w", err)
			}
		case "host":
			if err := f.open(v); err != nil {
				return f, err
			}
		default:
			if err := own.set(k, v); err != nil {
				return f, err
			}
		}
	}
	if len(own.keys) > 0 {
		return f, fmt.Errorf("%s is not understood outside of [host.\"URL\"]; server is", own.keys[0])
	}
	return f, nil
}

func (f *hostsFile) open(v any) error {
	hosts, ok := v.(*tomlTable)
	if !ok {
		return errors.New(`host: must be sections [host."https://..."]`)
	}
	for _, url := range hosts.keys {
		section, ok := hosts.values[url].(*tomlTable)
		if !ok {
			return fmt.Errorf(`host.%s: must be a section [host."https://..."]`, url)
		}
		h := hostsEntry{url: url}
		for _, k := range section.keys {
			if err := h.set(k, section.values[k]); err != nil {
				return fmt.Errorf("host %q: %s: %w", url, k, err)
			}
		}
		f.hosts = append(f.hosts, h)
	}
	return nil
}

func (h *hostsEntry) set(key string, v any) (err error) {
	switch key {
	case "capabilities":
		h.capabilities, err = asList(v)
	case "ca":
		h.trust.ca, err = asList(v)
	case "client":
		h.trust.client, err = asPairs(v)
	case "skip_verify":
		h.trust.skipVerify, err = asBool(v)
	case "override_path":
		h.overridePath, err = asBool(v)
	case "dial_timeout":
		h.dialTimeout, err = asTime(v)
	case "header":
		err = h.setHeader(v)
	default:
		err = errors.New("is not understood; capabilities, ca, client, skip_verify, override_path, dial_timeout and header are")
	}
	return err
}

func (h *hostsEntry) setHeader(v any) error {
	t, ok := v.(*tomlTable)
	if !ok {
		return errors.New("must be a section")
	}
	h.header = http.Header{}
	for _, k := range t.keys {
		values, err := asList(t.values[k])
		if err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		h.header[http.CanonicalHeaderKey(k)] = values
	}
	return nil
}

func asString(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", errors.New("must be a string")
	}
	return s, nil
}

func asBool(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, errors.New("must be true or false")
	}
	return b, nil
}

// asTime reads "1m30s", and a number of seconds.
func asTime(v any) (time.Duration, error) {
	var d time.Duration
	var err error
	switch v := v.(type) {
	case string:
		d, err = time.ParseDuration(v)
	case json.Number:
		var n int64
		n, err = v.Int64()
		d = time.Duration(n) * time.Second
	default:
		err = errors.New("no time")
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%v: must be a time like \"5s\"", v)
	}
	return d, nil
}

// asList reads "a" and ["a", "b"].
func asList(v any) (out []string, err error) {
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	for _, one := range list {
		s, err := asString(one)
		if err != nil {
			return nil, errors.New("must be a string or a list of strings")
		}
		out = append(out, s)
	}
	return out, nil
}

// asPairs reads client certificates: "both.pem", ["a.pem", "b.pem"] and [["cert.pem", "key.pem"]].
func asPairs(v any) (out [][]string, err error) {
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	for _, one := range list {
		p, err := asList(one)
		if err != nil || len(p) != 1 && len(p) != 2 || p[0] == "" || p[len(p)-1] == "" {
			return nil, errors.New("must name one file, or a certificate and its key")
		}
		out = append(out, p)
	}
	return out, nil
}
