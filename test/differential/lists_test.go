package differential

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

const pagesOf = "/api/v1/namespaces/lists/configmaps"

// lists compares lists and watches under every combination of revision, match, limit and selector, and pages over changes and
// compaction.
func lists(t *testing.T, p *Pair, b *Both) {
	p.namespace("lists")
	for i := range 12 {
		p.Ask("lists/create", Request{Method: http.MethodPost, Path: pagesOf, Body: fmt.Sprintf(`{"metadata":{"name":"c%02d","labels":{"parity":"%d"}}}`, i, i%2), Save: map[string]string{fmt.Sprintf("at%d", i): "metadata.resourceVersion"}})
	}
	p.Ask("lists/delete", Request{Method: http.MethodDelete, Path: pagesOf + "/c03"})
	p.Ask("lists/change", Request{Method: http.MethodPatch, Path: pagesOf + "/c04", Type: mergeType, Body: `{"metadata":{"labels":{"parity":"1"}}}`})
	p.Ask("lists/change back", Request{Method: http.MethodPatch, Path: pagesOf + "/c05", Type: mergeType, Body: `{"metadata":{"labels":{"parity":"0"}}}`})
	p.Ask("lists/now", Request{Method: http.MethodGet, Path: pagesOf, Save: map[string]string{"now": "metadata.resourceVersion"}})
	p.combined()
	p.paged()
	p.compacted(t, b)
}

func (p *Pair) combined() {
	for _, revision := range []string{"", "0", "1", "${at6}", "${now}"} {
		for _, match := range []string{"", "Exact", "NotOlderThan"} {
			for _, more := range []string{"", "limit=3", "labelSelector=parity%3D1", "limit=2&labelSelector=parity%3D1", "fieldSelector=metadata.name%3Dc04", "limit=2&fieldSelector=metadata.name!%3Dc04", "limit=50", "continue="} {
				for _, accept := range []string{"", tableType, protoType} {
					q := "?resourceVersion=" + revision + "&resourceVersionMatch=" + match + "&" + more
					p.Ask("lists/"+q, Request{Method: http.MethodGet, Path: pagesOf + q, Accept: accept})
				}
			}
			from := revision
			if from == "1" { // how far back upstream's cache goes depends on how fast all that came before was asked
				from = "${at0}"
			}
			for _, more := range []string{"", "labelSelector=parity%3D1", "labelSelector=parity%3D0", "fieldSelector=metadata.name%3Dc04", "allowWatchBookmarks=true", "sendInitialEvents=true", "sendInitialEvents=false", "sendInitialEvents=true&allowWatchBookmarks=true",
				"sendInitialEvents=true&allowWatchBookmarks=true&labelSelector=parity%3D1", "sendInitialEvents=false&allowWatchBookmarks=true", "limit=1", "continue=x"} {
				for _, accept := range []string{"", tableType} {
					if accept != "" && (match != "" || revision == "1") {
						continue
					}
					q := "?watch=1&timeoutSeconds=1&resourceVersion=" + from + "&resourceVersionMatch=" + match + "&" + more
					p.asks = append(p.asks, later{"lists/" + q, Request{Method: http.MethodGet, Path: pagesOf + q, Accept: accept}})
				}
			}
		}
	}
	p.together()
	for _, path := range []string{pagesOf + "/c04", pagesOf + "/nobody"} {
		for _, q := range []string{"watch=1", "watch=true&resourceVersion=0", "watch=1&resourceVersion=${at6}", "watch=1&fieldSelector=metadata.name%3Dc05", "watch=1&fieldSelector=metadata.name%3Dc04", "resourceVersion=999999999", "resourceVersion=0", "resourceVersion=x"} {
			p.asks = append(p.asks, later{"lists/one " + path + q, Request{Method: http.MethodGet, Path: path + "?timeoutSeconds=1&" + q}})
		}
	}
	for _, path := range []string{"/api/v1/watch/namespaces/lists/configmaps", "/api/v1/watch/namespaces/lists/configmaps/c04", "/api/v1/watch/configmaps", "/api/v1/watch/namespaces/lists", "/api/v1/watch/nosuch", "/apis/apps/v1/watch/deployments", "/api/v1/watch/namespaces/lists/configmaps/c04/status"} {
		p.asks = append(p.asks, later{"lists/old " + path, Request{Method: http.MethodGet, Path: path + "?timeoutSeconds=1&resourceVersion=${now}"}})
	}
	p.together()
}

// paged goes through pages while objects come and go.
func (p *Pair) paged() {
	for _, first := range []string{"?limit=3", "?limit=3&resourceVersion=${at6}&resourceVersionMatch=Exact", "?limit=3&resourceVersion=0", "?limit=2&labelSelector=parity%3D1", "?limit=2&fieldSelector=metadata.name!%3Dc06"} {
		step := "lists/pages " + first + "/"
		p.Ask(step+"first", Request{Method: http.MethodGet, Path: pagesOf + first, Save: map[string]string{"next": "metadata.continue"}})
		p.Ask(step+"delete", Request{Method: http.MethodDelete, Path: pagesOf + "/c08"})
		p.Ask(step+"create", Request{Method: http.MethodPost, Path: pagesOf, Body: `{"metadata":{"name":"c055","labels":{"parity":"1"}}}`})
		selector, _ := url.ParseQuery(first[1:])
		rest := ""
		for _, k := range []string{"labelSelector", "fieldSelector"} {
			if v := selector.Get(k); v != "" {
				rest += "&" + k + "=" + url.QueryEscape(v)
			}
		}
		for _, q := range []string{"limit=3&continue=${next}", "continue=${next}", "limit=1&continue=${next}", "limit=2&continue=${next}&resourceVersion=0", "limit=2&continue=${next}&resourceVersion=${now}", "continue=${next}&resourceVersionMatch=Exact", "continue=${next}&resourceVersion=0&resourceVersionMatch=NotOlderThan"} {
			p.Ask(step+"next "+q, Request{Method: http.MethodGet, Path: pagesOf + "?" + q + rest, Save: map[string]string{"after": "metadata.continue"}})
			p.Ask(step+"after "+q, Request{Method: http.MethodGet, Path: pagesOf + "?limit=2&continue=${after}" + rest})
		}
		p.Ask(step+"other namespace", Request{Method: http.MethodGet, Path: "/api/v1/namespaces/default/configmaps?continue=${next}"})
		p.Ask(step+"other kind", Request{Method: http.MethodGet, Path: "/api/v1/namespaces/lists/secrets?continue=${next}"})
		p.Ask(step+"all namespaces", Request{Method: http.MethodGet, Path: "/api/v1/configmaps?limit=1&fieldSelector=metadata.namespace%3Dlists&continue=${next}"})
		p.Ask(step+"delete new", Request{Method: http.MethodDelete, Path: pagesOf + "/c055"})
		p.Ask(step+"create old", Request{Method: http.MethodPost, Path: pagesOf, Body: `{"metadata":{"name":"c08","labels":{"parity":"0"}}}`})
	}
	p.Ask("lists/delete by pages", Request{Method: http.MethodDelete, Path: pagesOf + "?limit=2&dryRun=All"})
}

// compacted asks for revisions that the stores have let go of. It asks for events, which upstream's cache, that would still know
// them, does not hold; what ours still knows of them it tells to watches, which are not compared therefore.
func (p *Pair) compacted(t *testing.T, b *Both) {
	const events = "/api/v1/namespaces/lists/events"
	for i := range 8 {
		p.Ask("lists/compacted/create", Request{Method: http.MethodPost, Path: events, Body: fmt.Sprintf(`{"metadata":{"name":"e%d","labels":{"parity":"%d"}},"involvedObject":{"namespace":"lists"}}`, i, i%2), Save: map[string]string{"early": "metadata.resourceVersion"}})
	}
	p.Ask("lists/compacted/first", Request{Method: http.MethodGet, Path: events + "?limit=3", Save: map[string]string{"next": "metadata.continue"}})
	p.Ask("lists/compacted/change", Request{Method: http.MethodPatch, Path: events + "/e5", Type: mergeType, Body: `{"reason":"Changed"}`})
	p.Ask("lists/compacted/delete", Request{Method: http.MethodDelete, Path: events + "/e6"})
	p.Ask("lists/compacted/rest", Request{Method: http.MethodGet, Path: events, Save: map[string]string{"end": "metadata.resourceVersion"}})
	compactBoth(t, p, b)
	for _, q := range []string{"continue=${next}&limit=3", "continue=${next}", "continue=${next}&limit=3&labelSelector=parity%3D1"} {
		gone := Request{Method: http.MethodGet, Path: events + "?" + q, Save: map[string]string{"again": "metadata.continue"}}
		p.Ask("lists/compacted/"+q, gone)
		gone.Accept = tableType
		p.Ask("lists/compacted/table "+q, gone)
		p.Ask("lists/compacted/again "+q, Request{Method: http.MethodGet, Path: events + "?limit=3&continue=${again}", Save: map[string]string{"last": "metadata.continue"}})
		p.Ask("lists/compacted/last "+q, Request{Method: http.MethodGet, Path: events + "?limit=1&continue=${last}"})
	}
	for _, q := range []string{"resourceVersion=${early}&resourceVersionMatch=Exact", "resourceVersion=1&resourceVersionMatch=Exact", "resourceVersion=${early}&resourceVersionMatch=Exact&limit=2", "resourceVersion=${early}", "resourceVersion=${end}&resourceVersionMatch=Exact",
		"watch=1&timeoutSeconds=1&resourceVersion=${end}"} {
		for _, accept := range []string{"", tableType, protoType} {
			p.Ask("lists/compacted/"+q, Request{Method: http.MethodGet, Path: events + "?" + q, Accept: accept})
		}
	}
}

// compactBoth has each store forget all but the present.
func compactBoth(t *testing.T, p *Pair, b *Both) {
	t.Helper()
	revision := func(s *Side) (n int64) {
		if _, err := fmt.Sscan(s.vars["end"], &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := b.Server.Store.Compact(t.Context(), revision(p.Ours)); err != nil {
		t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://127.0.0.1:7379"}, Context: t.Context(), DialOptions: []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return b.Upstream.Net.DialContext(ctx, "tcp", addr)
		})}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Compact(t.Context(), revision(p.Theirs)); err != nil {
		t.Fatal(err)
	}
}
