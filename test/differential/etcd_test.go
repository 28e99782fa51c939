package differential

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/store"
)

// bytesInEtcd makes one more object of each kind on both sides and compares what their stores then hold below /registry:
// the keys, what the values mean, and that our encoder turns what upstream wrote into the same bytes.
func bytesInEtcd(t *testing.T, p *Pair, b *Both, seeds []Seed) {
	const ns = "stored"
	p.namespace(ns)
	p.Set("ns", ns)
	for _, s := range seeds {
		p.both(t.Context(), Request{Method: http.MethodPost, Path: s.Kind.List(ns), Body: s.Body(s.Name())})
	}
	ours, theirs := oursHold(t, b), theirsHold(t, b)
	for _, key := range allKeys(ours, theirs) {
		step := "etcd" + key
		o, t := ours[key], theirs[key]
		if o == nil || t == nil {
			p.note(step, Request{}, []Difference{{Where: "key", Ours: has(o), Theirs: has(t)}})
			continue
		}
		p.note(step, Request{}, p.pairs.values("value", "", meaning(o), meaning(t)))
		if again, err := reencode(t); err != nil || !bytes.Equal(again, t) {
			p.note(step, Request{}, []Difference{{Where: "bytes", Ours: fmt.Sprintf("%q", again), Theirs: fmt.Sprintf("%q", t)}})
		}
	}
	t.Logf("%d keys", len(theirs))
}

func has(b []byte) string {
	if b == nil {
		return "(none)"
	}
	return "a value"
}

// meaning decodes a stored value; what no kind of the API is stays text.
func meaning(value []byte) any {
	obj, err := api.DecodeStorage(value)
	if err != nil {
		return string(value)
	}
	v, err := asJSON(obj)
	if err != nil {
		return err.Error()
	}
	return v
}

func reencode(value []byte) ([]byte, error) {
	obj, err := api.DecodeStorage(value)
	if err != nil {
		return value, nil // not an object of the API
	}
	return api.EncodeStorage(obj)
}

func oursHold(t *testing.T, b *Both) map[string][]byte {
	page, err := b.Server.Store.List(t.Context(), "/registry/", store.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, kv := range page.KVs {
		keep(out, kv.Key, kv.Value)
	}
	return out
}

func theirsHold(t *testing.T, b *Both) map[string][]byte {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://127.0.0.1:7379"}, Context: t.Context(), DialOptions: []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return b.Upstream.Net.DialContext(ctx, "tcp", addr)
		})}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Get(t.Context(), "/registry/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, kv := range r.Kvs {
		keep(out, string(kv.Key), kv.Value)
	}
	return out
}

// keep leaves out keys with parts that are chosen at random, and those that a server keeps for itself, among them what
// upstream's repair of addresses says of a Service that it meets in the middle of a change.
func keep(all map[string][]byte, key string, value []byte) {
	for _, own := range []string{"/registry/ipaddresses/10.97.", "/registry/leases/kube-system/apiserver-", "/registry/masterleases/", "/registry/events/default/", "/registry/events/services-at-random/", "/registry/peerserverleases/"} {
		if strings.HasPrefix(key, own) && !strings.HasSuffix(key, "200.7") {
			return
		}
	}
	all[made.ReplaceAllString(key, "$1<random>")] = value
}
