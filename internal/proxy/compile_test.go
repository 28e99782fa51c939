package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is services and slices read from YAML.
type world struct {
	services []*corev1.Service
	slices   []*discoveryv1.EndpointSlice
}

func readWorld(t testing.TB, text []byte) world {
	t.Helper()
	var w world
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var raw map[string]any
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			return w
		} else {
			ok(t, err)
		}
		b, err := yamlJSON(raw)
		ok(t, err)
		if raw["kind"] == "Service" {
			s := &corev1.Service{}
			ok(t, yaml.UnmarshalStrict(b, s))
			w.services = append(w.services, s)
		} else {
			s := &discoveryv1.EndpointSlice{}
			ok(t, yaml.UnmarshalStrict(b, s))
			w.slices = append(w.slices, s)
		}
	}
}

// compileWorld replaces all services in s.
func compileWorld(s *state, w world, here place) map[serviceName]healthState {
	health := map[serviceName]healthState{}
	seen := map[serviceName]bool{}
	for _, svc := range w.services {
		n := serviceName{svc.Namespace, svc.Name}
		seen[n] = true
		var own []*discoveryv1.EndpointSlice
		for _, sl := range w.slices {
			if sl.Namespace == svc.Namespace && sl.Labels[discoveryv1.LabelServiceName] == svc.Name {
				own = append(own, sl)
			}
		}
		c := compile(svc, own, here)
		s.replace(n, c.elements)
		if c.health.port != 0 {
			health[n] = c.health
		}
	}
	for n := range s.parts {
		if !seen[n] {
			s.replace(n, nil)
		}
	}
	return health
}

// fake is a kernel that only keeps what it is told.
type fake struct {
	elements elements
	fail     error
}

func (f *fake) apply(changes []change, whole bool) error {
	if f.fail != nil {
		return f.fail
	}
	if whole {
		f.elements = elements{}
	}
	for _, c := range changes {
		if c.old != nil && !whole {
			if have, has := f.elements[c.key]; !has || have != *c.old {
				return fmt.Errorf("removed what is not there: %s", text(c.key, *c.old))
			}
			delete(f.elements, c.key)
		}
		if c.new != nil {
			if _, has := f.elements[c.key]; has {
				return fmt.Errorf("added what is there: %s", text(c.key, *c.new))
			}
			f.elements[c.key] = *c.new
		}
	}
	return nil
}

func (f *fake) remove() error { f.elements = nil; return nil }

func (f *fake) String() string {
	var lines []string
	for k, v := range f.elements {
		lines = append(lines, text(k, v)+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// TestCompile runs the stories in testdata: each "in" is the whole world, followed by the table it makes by way of
// differences from the one before. UPDATE=1 writes what comes out.
func TestCompile(t *testing.T) {
	stories, err := filepath.Glob("testdata/*.txtar")
	ok(t, err)
	for _, at := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(at), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(at)
			ok(t, err)
			s, k := newState(), &fake{elements: elements{}}
			here := place{node: "here", zone: "east", skip: map[netip.Addr]bool{netip.MustParseAddr("10.96.0.10"): true}}
			var health map[serviceName]healthState
			for i := range a.Files {
				f := &a.Files[i]
				if strings.HasPrefix(f.Name, "in") {
					health = compileWorld(s, readWorld(t, f.Data), here)
					ok(t, k.apply(s.changes(), false))
					s.applied(false)
					continue
				}
				got := k.String()
				for n, h := range health {
					got += fmt.Sprintf("health %s/%s port %d local %d\n", n.ns, n.name, h.port, h.local)
				}
				if os.Getenv("UPDATE") != "" {
					f.Data = []byte(got)
				} else if got != string(f.Data) {
					t.Errorf("%s:\n%s\nwant:\n%s", f.Name, got, f.Data)
				}
			}
			if os.Getenv("UPDATE") != "" {
				ok(t, os.WriteFile(at, txtar.Format(a), 0o644))
			}
			whole := &fake{}
			ok(t, whole.apply(s.everything(), true))
			if whole.String() != k.String() {
				t.Errorf("written anew the table is\n%s\nby differences it was\n%s", whole, k)
			}
		})
	}
}

func TestChainNames(t *testing.T) {
	for _, c := range []chain{{kind: "cluster", count: 3}, {kind: "external", count: 1, sticky: 10}, {kind: "node-local", count: 0, local: 2},
		{kind: "external-local", count: 12, local: 3, sticky: 10800}, {kind: "node", count: 7}} {
		if got := parseChain(c.String()); got != c {
			t.Errorf("%s: %+v, want %+v", c, got, c)
		}
	}
}

func TestTwoServicesWantTheSameAddress(t *testing.T) {
	s, k := newState(), &fake{elements: elements{}}
	at := key{set: setServices, vip: vip{netip.MustParseAddr("192.0.2.1"), 6, 80}}
	step := func(want string) {
		t.Helper()
		ok(t, k.apply(s.changes(), false))
		s.applied(false)
		if got := k.elements[at].chain; got != want {
			t.Errorf("%q has it, want %q", got, want)
		}
	}
	s.replace(serviceName{"b", "b"}, elements{at: {chain: "b"}})
	step("b")
	s.replace(serviceName{"a", "a"}, elements{at: {chain: "a"}})
	step("a")
	s.replace(serviceName{"a", "a"}, nil)
	step("b")
	s.replace(serviceName{"b", "b"}, nil)
	step("")
	if len(k.elements)+len(s.wanted)+len(s.parts)+len(s.kernel) != 0 {
		t.Error("something is left")
	}
}

func yamlJSON(v any) ([]byte, error) { return json.Marshal(v) }

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
