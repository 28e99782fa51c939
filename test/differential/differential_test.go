package differential

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"

	"minato.dev/minato/internal/pki"
)

var listFile = flag.String("differences", "", "file for all differences that are not accepted")

var only = flag.String("only", "", "parts to run, separated by commas; empty: all of them")

var seed = flag.Uint64("seed", 1, "of the random sequence")

func TestDifferential(t *testing.T) {
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	klog.SetSlogLogger(log)
	b, err := StartBoth(t.Context(), t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	p := NewPair(t, b.Ours, b.Theirs)
	inPEM, bare := csr(t)
	p.Set("csr", inPEM)
	p.Set("csrDER", bare)
	p.Set("ca", authority(t))
	kinds := kindsOf(t, b.Theirs)
	seeds, err := Seeds(kinds)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"bootstrap", func(*testing.T) { begins(p, kinds) }},
		{"paths", func(*testing.T) { paths(p, kinds) }},
		{"life", func(t *testing.T) { lives(t, p, seeds, kinds) }},
		{"sub", func(*testing.T) { subresources(p) }},
		{"connect", func(*testing.T) { connects(p) }},
		{"proxy", func(t *testing.T) { proxied(t, p, b) }},
		{"admit", func(*testing.T) { admitted(p) }},
		{"policy", func(*testing.T) { policies(p) }},
		{"impersonate", func(t *testing.T) { impersonations(t, p, b) }},
		{"kubectl", func(t *testing.T) { commands(t, p, b) }},
		{"random", func(*testing.T) { random(p, seeds, *seed, 2000) }},
		{"bad", func(*testing.T) { bads(p, seeds) }},
		{"mutant", func(*testing.T) { allMutants(p, seeds) }},
		{"wire", func(*testing.T) { wires(p, seeds) }},
		{"zip", func(*testing.T) { zipped(p) }},
		{"lists", func(t *testing.T) { lists(t, p, b) }},
		{"services", func(*testing.T) { servicesAtRandom(p, *seed, 700) }},
		{"apply", func(*testing.T) { applies(p, *seed) }},
		{"change", func(t *testing.T) { changes(t, p, seeds) }},
		{"select", func(*testing.T) { selects(p, seeds) }},
		{"metrics", func(*testing.T) { metrics(p) }},
		{"etcd", func(t *testing.T) { bytesInEtcd(t, p, b, seeds) }},
	} {
		if *only == "" || strings.Contains(*only, part.name) {
			began := time.Now()
			before := p.Asked
			part.run(t)
			t.Logf("%s: %d requests in %s", part.name, p.Asked-before, time.Since(began).Round(time.Second))
		}
	}
	judge(t, p, func(step string) bool { return *only == "" && !strings.HasPrefix(step, "pods/") })
}

// authority is a certificate authority in PEM, as a JSON string holds it.
func authority(t *testing.T) string {
	b, err := pki.EnsureAll(t.TempDir(), pki.Names{Node: "node", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, ServiceIP: net.IPv4(10, 97, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b.CA.CertPEM), "\n", `\n`)
}

// csr is a certificate signing request, in PEM and bare, in base64 as the API wants both.
func csr(t *testing.T) (inPEM, bare string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane", Organization: []string{"staff"}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), base64.StdEncoding.EncodeToString(der)
}

// judge fails the test for each difference that is not accepted, and each accepted one of a step that was due and is not seen any more.
func judge(t *testing.T, p *Pair, due func(step string) bool) {
	t.Helper()
	ledger, err := ReadLedger("accepted.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type group struct {
		Difference
		count int
	}
	groups := map[string]*group{}
	accepted := 0
	for _, d := range p.Found {
		if ledger.Take(d) {
			accepted++
			continue
		}
		key := d.Where + "\x00" + d.Ours + "\x00" + d.Theirs
		if groups[key] == nil {
			groups[key] = &group{Difference: d}
		}
		groups[key].count++
	}
	list := make([]*group, 0, len(groups))
	for _, g := range groups {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *group) int { return cmp.Or(b.count-a.count, cmp.Compare(a.Step, b.Step)) })
	var out strings.Builder
	for _, g := range list {
		fmt.Fprintf(&out, "%dx %s | %s\n      ours   %s\n      theirs %s\n      %s %s %.300s\n", g.count, g.Step, g.Where, g.Ours, g.Theirs, g.ask.Method, g.ask.Path, g.ask.Body)
	}
	t.Logf("%d requests, %d differences in %d groups, %d more are accepted", p.Asked, len(p.Found)-accepted, len(groups), accepted)
	if *listFile != "" {
		if err := os.WriteFile(*listFile, []byte(out.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
	if out.Len() > 0 {
		t.Errorf("differences:\n%.20000s", out.String())
	}
	for _, a := range ledger.Unseen() {
		if due(a.Step) {
			t.Errorf("accepted.yaml: %q at %q was not seen any more: take it out", a.Step, a.Where)
		}
	}
}
