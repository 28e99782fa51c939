package script

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// storm ROUNDS [SEED] writes from several clients at once, kills minato with SIGKILL at a random moment, starts it again and
// looks for every acknowledged write; so many rounds.
func storm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: storm ROUNDS [SEED]")
	}
	rounds, err := strconv.Atoi(args[0])
	ts.Check(err)
	seed := uint64(time.Now().UnixNano())
	if len(args) > 1 {
		seed, err = strconv.ParseUint(args[1], 10, 64)
		ts.Check(err)
	}
	ts.Logf("storm: seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	acknowledged := map[string]bool{}
	for round := range rounds {
		config, err := clientcmd.BuildConfigFromFlags("", ts.Getenv("KUBECONFIG"))
		ts.Check(err)
		transport, err := rest.TransportFor(config)
		ts.Check(err)
		w := &writers{base: config.Host + "/api/v1/namespaces/default/configmaps", http: &http.Client{Transport: transport}, done: map[string]bool{}}
		w.start(4, round)
		for end := time.Now().Add(time.Minute); w.count() == 0 && time.Now().Before(end); { // a storm without writes proves nothing
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Duration(50+draw.IntN(600)) * time.Millisecond)
		crash(ts, false, nil)
		for name := range w.stop() {
			acknowledged[name] = true
		}
		up(ts, false, nil)
		missing(ts, w, acknowledged)
	}
	ts.Logf("storm: %d acknowledged writes survived %d crashes", len(acknowledged), rounds)
	if len(acknowledged) < rounds {
		ts.Fatalf("only %d writes were acknowledged: the storm proves nothing", len(acknowledged))
	}
}

// writers create config maps until they are stopped, and note what was acknowledged.
type writers struct {
	base   string
	http   *http.Client
	cancel context.CancelFunc
	wait   sync.WaitGroup
	mu     sync.Mutex
	done   map[string]bool
}

func (w *writers) start(n, round int) {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	for i := range n {
		w.wait.Go(func() {
			for j := 0; ctx.Err() == nil; j++ {
				w.create(ctx, fmt.Sprintf("storm-%d-%d-%d", round, i, j))
			}
		})
	}
}

func (w *writers) create(ctx context.Context, name string) {
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base, bytes.NewReader([]byte(body)))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.http.Do(req)
	if err != nil {
		return // it is down: not acknowledged
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode == http.StatusCreated {
		w.mu.Lock()
		w.done[name] = true
		w.mu.Unlock()
	}
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.done)
}

func (w *writers) stop() map[string]bool {
	w.cancel()
	w.wait.Wait()
	return w.done
}

// missing fails the story when an acknowledged write is not there.
func missing(ts *testscript.TestScript, w *writers, acknowledged map[string]bool) {
	resp, err := w.http.Get(w.base)
	ts.Check(err)
	defer resp.Body.Close()
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	ts.Check(json.NewDecoder(resp.Body).Decode(&list))
	there := map[string]bool{}
	for _, it := range list.Items {
		there[it.Metadata.Name] = true
	}
	for name := range acknowledged {
		if !there[name] {
			ts.Fatalf("%s was acknowledged and is lost", name)
		}
	}
}
