package image

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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
}

// parseHosts reads the part of TOML that such files use: sections, strings, booleans and lists of strings on one line.
// Anything else is an error that names the line.
func parseHosts(text string) (hostsFile, error) {
	var f hostsFile
	var section string
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(stripComment(lines.Text()))
		var err error
		switch {
		case line == "":
		case strings.HasPrefix(line, "["):
			section, err = f.open(line)
		default:
			err = f.set(section, line)
		}
		if err != nil {
			return f, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return f, lines.Err()
}

// stripComment cuts at a # outside of quotes.
func stripComment(line string) string {
	quoted := false
	for i, c := range line {
		if c == '"' {
			quoted = !quoted
		}
		if c == '#' && !quoted {
			return line[:i]
		}
	}
	return line
}

// open begins a section: "host" for [host."URL"] and "header" for [host."URL".header], always of the last entry.
func (f *hostsFile) open(line string) (string, error) {
	rest, ok := strings.CutPrefix(line, `[host."`)
	at, rest, closed := strings.Cut(rest, `"`)
	switch {
	case !ok || !closed:
	case rest == "]":
		f.hosts = append(f.hosts, hostsEntry{url: at})
		return "host", nil
	case rest == ".header]" && len(f.hosts) > 0 && f.hosts[len(f.hosts)-1].url == at:
		return "header", nil
	}
	return "", fmt.Errorf(`section %s is not understood; [host."https://..."] and [host."https://...".header] are`, line)
}

func (f *hostsFile) set(section, line string) error {
	key, raw, ok := strings.Cut(line, "=")
	key, raw = strings.Trim(strings.TrimSpace(key), `"`), strings.TrimSpace(raw)
	if !ok {
		return fmt.Errorf("%q is no key = value", line)
	}
	var err error
	switch {
	case section == "" && key == "server":
		err = json.Unmarshal([]byte(raw), &f.server)
	case section == "header":
		err = f.setHeader(key, raw)
	case section == "host":
		err = f.hosts[len(f.hosts)-1].set(key, raw)
	default:
		err = fmt.Errorf("key is not understood here")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func (f *hostsFile) setHeader(key, raw string) error {
	values, err := stringOrList(raw)
	if err != nil {
		return err
	}
	h := &f.hosts[len(f.hosts)-1]
	if h.header == nil {
		h.header = http.Header{}
	}
	h.header[http.CanonicalHeaderKey(key)] = values
	return nil
}

func (h *hostsEntry) set(key, raw string) (err error) {
	switch key {
	case "capabilities":
		h.capabilities, err = stringOrList(raw)
	case "ca":
		h.trust.ca, err = stringOrList(raw)
	case "client":
		h.trust.client, err = pairs(raw)
	case "skip_verify":
		err = json.Unmarshal([]byte(raw), &h.trust.skipVerify)
	case "override_path":
		err = json.Unmarshal([]byte(raw), &h.overridePath)
	default:
		err = fmt.Errorf("is not built; capabilities, ca, client, skip_verify, override_path and header are")
	}
	return err
}

// stringOrList reads "a" and ["a", "b"]; basic TOML strings are JSON's.
func stringOrList(raw string) ([]string, error) {
	var list []string
	if strings.HasPrefix(raw, "[") {
		return list, json.Unmarshal([]byte(strings.ReplaceAll(raw, ",]", "]")), &list)
	}
	var one string
	err := json.Unmarshal([]byte(raw), &one)
	return []string{one}, err
}

// pairs reads client certificates: "both.pem", ["a.pem", "b.pem"] and [["cert.pem", "key.pem"]].
func pairs(raw string) (out [][]string, err error) {
	if strings.HasPrefix(strings.ReplaceAll(raw, " ", ""), "[[") {
		if err := json.Unmarshal([]byte(strings.ReplaceAll(raw, ",]", "]")), &out); err != nil {
			return nil, err
		}
	} else {
		files, err := stringOrList(raw)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			out = append(out, []string{f})
		}
	}
	for _, p := range out {
		if len(p) != 1 && len(p) != 2 || p[0] == "" || p[len(p)-1] == "" {
			return nil, fmt.Errorf("must name one file, or a certificate and its key")
		}
	}
	return out, nil
}
