package nodeipam

import (
	"net/netip"
	"testing"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name, cluster, last string
		used                []string
		want                string
	}{
		{"the first is the server's", "10.244.0.0/16", "10.244.0.0", []string{"10.244.0.0/24"}, "10.244.1.0/24"},
		{"goes on behind the last", "10.244.0.0/16", "10.244.7.0", []string{"10.244.0.0/24"}, "10.244.8.0/24"},
		{"leaves out what is used", "10.244.0.0/16", "10.244.1.0", []string{"10.244.2.0/24", "10.244.3.0/25"}, "10.244.4.0/24"},
		{"leaves out a wider range", "10.244.0.0/16", "10.244.0.0", []string{"10.244.0.0/22"}, "10.244.4.0/24"},
		{"begins anew", "10.244.0.0/16", "10.244.255.0", []string{"10.244.0.0/24"}, "10.244.1.0/24"},
		{"across a byte", "10.0.0.0/8", "10.0.255.0", nil, "10.1.0.0/24"},
		{"full", "10.244.0.0/23", "10.244.0.0", []string{"10.244.0.0/24", "10.244.1.0/24"}, ""},
		{"one range only, and it is free", "10.244.3.0/24", "10.244.3.0", nil, "10.244.3.0/24"},
		{"too small to share", "10.244.3.0/25", "10.244.3.0", nil, ""},
		{"the end of all addresses", "255.255.254.0/23", "255.255.255.0", nil, "255.255.254.0/24"},
	} {
		used := map[netip.Prefix]bool{}
		for _, u := range c.used {
			used[netip.MustParsePrefix(u)] = true
		}
		got, ok := next(netip.MustParsePrefix(c.cluster), netip.MustParseAddr(c.last), used)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s: %v %v, want %q", c.name, got, ok, c.want)
		}
	}
}
