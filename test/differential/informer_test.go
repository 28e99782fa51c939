package differential

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"minato.dev/minato/bench/measure"
	"minato.dev/minato/internal/cluster"
)

// An eyewitness is told of objects by an informer and remembers what it was told of each.
type eyewitness struct {
	mu     sync.Mutex
	seen   map[string][]int64 // revisions of each object, in the order in which they were told
	known  map[string]bool    // objects that exist
	faults []string
	breaks []string // of watches
}

func (w *eyewitness) broken(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaks = append(w.breaks, err.Error())
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		w.faults = append(w.faults, "a watch ended by "+err.Error())
	}
}

func (w *eyewitness) tell(what string, obj any, known bool) {
	gone, unseen := obj.(cache.DeletedFinalStateUnknown)
	if unseen { // the informer has listed anew, and found it gone: it has no revision to tell, only what it had told before
		obj = gone.Obj
	}
	o := obj.(metav1.Object)
	rev, err := strconv.ParseInt(o.GetResourceVersion(), 10, 64)
	w.mu.Lock()
	defer w.mu.Unlock()
	name := o.GetName()
	switch {
	case err != nil:
		w.faults = append(w.faults, err.Error())
	case w.known[name] == (what == "add"):
		w.faults = append(w.faults, fmt.Sprintf("%s of %s, which existed: %v", what, name, w.known[name]))
	case len(w.seen[name]) > 0 && (rev < w.last(name) || rev == w.last(name) && !unseen):
		w.faults = append(w.faults, fmt.Sprintf("%s of %s at %d after %v", what, name, rev, w.seen[name]))
	}
	if !unseen {
		w.seen[name] = append(w.seen[name], rev)
	}
	w.known[name] = known
}

func (w *eyewitness) last(name string) int64 { return w.seen[name][len(w.seen[name])-1] }

// at says whether an object is known at a revision or later.
func (w *eyewitness) at(name string, rev int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen[name]
	return len(seen) > 0 && seen[len(seen)-1] >= rev
}

// doorkeeper sees what an informer asks.
type doorkeeper struct {
	http.RoundTripper
	mu      sync.Mutex
	lists   []string // requests for the whole state, answered
	watches int      // taken up at a revision, and answered
	refused []string // answers that make an informer forget what it knows
}

func (d *doorkeeper) takenUp() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.watches
}

// RoundTrip implements http.RoundTripper.
func (d *doorkeeper) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	resp, err := d.RoundTripper.RoundTrip(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil: // it is down
	case resp.StatusCode == http.StatusGone:
		d.refused = append(d.refused, r.URL.RawQuery)
	case resp.StatusCode != http.StatusOK: // it is not up yet
	case q.Get("watch") == "" || q.Get("sendInitialEvents") == "true":
		d.lists = append(d.lists, r.URL.RawQuery)
	default:
		d.watches++
	}
	return resp, err
}

// TestInformersThroughCrashes writes while the server is killed again and again. Its history survives that, as etcd's does, so
// client-go's informers may take up their watches where they broke: they must be told of each acknowledged write once and in
// order. Where a kill resets a connection that is being made, instead of refusing it, client-go lists anew whatever the server
// is; so the server is killed until a watch was taken up, and no answer of its own may have an informer list anew.
func TestInformersThroughCrashes(t *testing.T) {
	c, err := measure.NewCluster(t.Context(), "../../bin/minato", "informer")
	if err != nil {
		t.Fatalf("%v: run `make build` first", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := measure.Output(c.Up(t.Context())); err != nil {
		t.Fatal(err)
	}
	clients, door := clientOf(t, c, nil), &doorkeeper{}
	watcher := clientOf(t, c, func(rt http.RoundTripper) http.RoundTripper { door.RoundTripper = rt; return door })
	w := &eyewitness{seen: map[string][]int64{}, known: map[string]bool{}}
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	factory := informers.NewSharedInformerFactoryWithOptions(watcher, 0, informers.WithNamespace("default"),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "written" }))
	informer := factory.Core().V1().ConfigMaps().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { w.tell("add", o, true) },
		UpdateFunc: func(was, o any) { // after a list of its own, an informer tells of everything again, as it was
			if was.(metav1.Object).GetResourceVersion() != o.(metav1.Object).GetResourceVersion() {
				w.tell("update", o, true)
			}
		},
		DeleteFunc: func(o any) { w.tell("delete", o, false) },
	}); err != nil {
		t.Fatal(err)
	}
	if err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { w.broken(err) }); err != nil {
		t.Fatal(err)
	}
	factory.Start(watching.Done())
	factory.WaitForCacheSync(watching.Done())
	writing, quiet := context.WithCancel(t.Context())
	acknowledged := make([]map[string][]int64, 4)
	var writers sync.WaitGroup
	for i := range acknowledged {
		acknowledged[i] = map[string][]int64{}
		writers.Go(func() { write(writing, clients, i, acknowledged[i]) })
	}
	for i := 0; i < kills || i < 5*kills && door.takenUp() == 0; i++ {
		wait(t, time.Second)
		kill(t, c.DataDir)
		if err := measure.Output(c.Up(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, time.Second)
	quiet()
	writers.Wait()
	last := fence(t, clients, w)
	all, err := clients.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]int64{}
	for i := range all.Items {
		exists[all.Items[i].Name] = revisionOf(&all.Items[i])
	}
	stop()
	factory.Shutdown()
	check(t, w, len(door.lists) > 1, acknowledged, exists, last)
	t.Logf("%d watches were taken up; the informer listed by %q; its watches broke by %q", door.watches, door.lists, w.breaks)
	if len(door.refused) > 0 || door.watches == 0 {
		t.Errorf("%d watches were taken up, and %q refused as gone", door.watches, door.refused)
	}
}

// kills is how often the server dies at least.
const kills = 3

// wait lets the writers write.
func wait(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func clientOf(t *testing.T, c *measure.Cluster, wrap func(http.RoundTripper) http.RoundTripper) *kubernetes.Clientset {
	cfg, err := clientcmd.BuildConfigFromFlags("", filepath.Join(c.DataDir, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dial, cfg.QPS, cfg.Burst = c.Net.DialContext, 1000, 1000
	cfg.WrapTransport = wrap
	clients, err := kubernetes.NewForConfig(rest.AddUserAgent(cfg, "informer-test"))
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

// write creates, changes and deletes config maps until ctx ends, and notes what was acknowledged. A write that fails may
// have been done all the same: its name is not used again.
func write(ctx context.Context, c *kubernetes.Clientset, writer int, acknowledged map[string][]int64) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("w%d-%d", writer, n)
		cm, err := c.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"written": "yes"}}}, metav1.CreateOptions{})
		for i := 0; err == nil && i < 5; i++ {
			acknowledged[name] = append(acknowledged[name], revisionOf(cm))
			cm.Data = map[string]string{"step": strconv.Itoa(i)}
			cm, err = c.CoreV1().ConfigMaps("default").Update(ctx, cm, metav1.UpdateOptions{})
		}
		if err == nil {
			acknowledged[name] = append(acknowledged[name], revisionOf(cm))
			if n%3 == 0 {
				_ = c.CoreV1().ConfigMaps("default").Delete(ctx, name, metav1.DeleteOptions{})
			}
			continue
		}
		select { // the server is away
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func revisionOf(o metav1.Object) int64 {
	n, err := strconv.ParseInt(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// kill ends the cluster's process with SIGKILL and waits until it is gone.
func kill(t *testing.T, data string) {
	b, err := os.ReadFile(filepath.Join(data, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; wait(t, 5*time.Millisecond) {
		if holder, err := cluster.Running(data); err == nil && holder == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlives SIGKILL", pid)
		}
	}
}

// fence writes once more and waits until the informer has told of it: everything before it has been told then.
func fence(t *testing.T, c *kubernetes.Clientset, w *eyewitness) int64 {
	cm, err := c.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "fence", Labels: map[string]string{"written": "last"}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); !w.at("fence", revisionOf(cm)); wait(t, 10*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the informer did not see the last write within two minutes")
		}
	}
	return revisionOf(cm)
}

func count(list []int64, x int64) (n int) {
	for _, y := range list {
		if x == y {
			n++
		}
	}
	return n
}

// check holds what the informer was told against what was acknowledged. Where it listed anew, what came between may be summed up.
func check(t *testing.T, w *eyewitness, listed bool, acknowledged []map[string][]int64, exists map[string]int64, last int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		t.Error(f)
	}
	writes := 0
	for _, mine := range acknowledged {
		for _, name := range slices.Sorted(maps.Keys(mine)) {
			revs := mine[name]
			writes += len(revs)
			last := revs[len(revs)-1]
			deleted := exists[name] == 0
			for _, rev := range revs {
				if n := count(w.seen[name], rev); n > 1 || n == 0 && !listed {
					t.Errorf("revision %d of %s was acknowledged and told %d times: %v", rev, name, n, w.seen[name])
				}
			}
			if !deleted && (!w.known[name] || w.last(name) < last) || deleted && w.known[name] {
				t.Errorf("%s was acknowledged at %v and is at %d; the informer told of %v", name, revs, exists[name], w.seen[name])
			}
		}
	}
	t.Logf("%d acknowledged writes up to revision %d", writes, last)
	if writes < 100 {
		t.Errorf("only %d writes: too few to prove anything", writes)
	}
}
