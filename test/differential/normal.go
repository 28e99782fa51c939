package differential

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// A pairing knows which identity of ours stands for which of theirs. Identities must map one to one: two objects that
// share one on one side share one on the other.
type pairing struct {
	ours, theirs map[string]string
	names        map[string]string // generated names, ours to theirs
}

func newPairing() *pairing {
	return &pairing{ours: map[string]string{}, theirs: map[string]string{}, names: map[string]string{}}
}

var (
	uid      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	instant  = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|( ?[+-]\d\d:?\d\d( UTC)?( m=[+-][\d.]+)?))`)
	version  = regexp.MustCompile(`(?i)(resource ?version([\\":]+|:? ?(in [a-z ]+[:(] ?)?"?)|revision )\d+`)
	record   = regexp.MustCompile(`in record \(\d+\)`)
	age      = regexp.MustCompile(`^(\d+[smhdy])+$`)
	nodePort = regexp.MustCompile(`:3[0-2]\d{3}/`)
	twoPorts = regexp.MustCompile(`({TCP |Duplicate value: |HealthCheck NodePort )3[0-2]\d{3}`)
	revision = regexp.MustCompile(`(?:\b\d+|<revision>) \(\d+\)`) // of "too old resource version: 1 (2)"
	address  = regexp.MustCompile(`\b10\.97\.\d+\.\d+\b`)
	access   = regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`)
	server   = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	digest   = regexp.MustCompile(`X509SHA256=[0-9a-f]{64}`)
	current  = regexp.MustCompile(`current: \d+`)
	made     = regexp.MustCompile(`\b([Mm]ade[-_]|g{58})[a-z0-9]{5}\b`)              // from the prefixes that the tests use
	allowed  = regexp.MustCompile(`(RBAC: allowed by )(ClusterRole|Role)Binding .*`) // any one of those that allow it
	managed  = regexp.MustCompile(`managedFields\\*":\[[^\]]*\]`)                    // in a text, in the order of their times
	token    = regexp.MustCompile(`^eyJ[\w-]+\.[\w-]+\.[\w-]+$`)
)

// same says whether two strings under one key mean the same.
func (p *pairing) same(key, ours, theirs string) bool {
	if ours == theirs {
		return true
	}
	for was, is := range p.names {
		ours = strings.ReplaceAll(ours, was, is)
	}
	ours, theirs = common(key, ours), common(key, theirs)
	if uid.ReplaceAllString(ours, "<uid>") != uid.ReplaceAllString(theirs, "<uid>") {
		return false
	}
	os, ts := uid.FindAllString(ours, -1), uid.FindAllString(theirs, -1)
	for i := range os {
		if !p.pair(os[i], ts[i]) {
			return false
		}
	}
	return true
}

func (p *pairing) pair(o, t string) bool {
	was, known := p.ours[o]
	back, knownBack := p.theirs[t]
	if !known && !knownBack {
		p.ours[o], p.theirs[t] = t, o
		return true
	}
	return known && knownBack && was == t && back == o
}

// common replaces what two servers cannot have in common: times, revisions, addresses and random parts of names.
func common(key, s string) string {
	switch key {
	case "resourceVersion":
		if s != "" && s != "0" {
			return "<revision>"
		}
		return s
	case "continue":
		return continueToken(s)
	case "token":
		return claims(s)
	case "cells":
		if age.MatchString(s) {
			return "<age>"
		}
		s = nodePort.ReplaceAllString(s, ":<port>/")
	}
	s = instant.ReplaceAllStringFunc(s, instantClass)
	s = version.ReplaceAllString(s, "$1<revision>")
	s = record.ReplaceAllString(s, "in record (<revision>)")
	s = revision.ReplaceAllString(s, "<revision> (<revision>)")
	s = current.ReplaceAllString(s, "current: <revision>")
	s = made.ReplaceAllString(s, "$1<random>")
	s = allowed.ReplaceAllString(s, "$1<a binding>")
	s = managed.ReplaceAllString(s, "<managed fields>")
	s = address.ReplaceAllString(s, "<service address>")
	s = server.ReplaceAllString(s, "<server>")
	s = digest.ReplaceAllString(s, "X509SHA256=<digest>")
	s = twoPorts.ReplaceAllString(s, "$1<port>")
	return access.ReplaceAllString(s, "kube-api-access-<random>")
}

// instantClass keeps of a time only how exact it is.
func instantClass(s string) string {
	if strings.Contains(s, ".") {
		return "<time.fraction>"
	}
	return "<time>"
}

// generated pairs the names of two objects whose names the servers made.
func (p *pairing) generated(ours, theirs map[string]any) {
	prefix, _ := ours["generateName"].(string)
	o, _ := ours["name"].(string)
	t, _ := theirs["name"].(string)
	if prefix != "" && theirs["generateName"] == prefix && o != t && strings.HasPrefix(o, prefix) && strings.HasPrefix(t, prefix) && len(o) == len(t) {
		p.names[o] = t
	}
}

var tokenRevision = regexp.MustCompile(`"rv":\d+`)

// continueToken shows what a token of a paged list says, without its revision.
func continueToken(s string) string {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || s == "" {
		return s
	}
	return tokenRevision.ReplaceAllString(string(raw), `"rv":<revision>`)
}

// claims shows what a signed token claims.
func claims(s string) string {
	if !token.MatchString(s) {
		return s
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(s, ".")[1])
	if err != nil {
		return s
	}
	v, err := jsonValue(raw)
	if err != nil {
		return s
	}
	for _, name := range []string{"iat", "exp", "nbf", "jti"} {
		if m, ok := v.(map[string]any); ok && m[name] != nil {
			m[name] = "<" + name + ">"
		}
	}
	return common("", fmt.Sprint(v))
}
