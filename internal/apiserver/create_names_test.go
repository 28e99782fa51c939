package apiserver_test

import (
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/apiserver"
	"minato.dev/minato/internal/apiserver/apiservertest"
	"minato.dev/minato/internal/client"
)

// suffixes hands out endings of names in turn, and counts them. Requests come one after the other here.
type suffixes struct {
	list  []string
	given int
}

func (s *suffixes) next() string {
	s.given++
	return s.list[min(s.given, len(s.list))-1]
}

const generatedNames = "/api/v1/namespaces/default/configmaps"

func withSuffixes(t *testing.T, list ...string) (*apiservertest.Server, *suffixes) {
	s := &suffixes{list: list}
	return apiservertest.Start(t, func(c *apiserver.Config) { c.Random = s.next }), s
}

func generate(t *testing.T, s *apiservertest.Server, query string) answer {
	t.Helper()
	return do(t, s, http.MethodPost, generatedNames+query, `{"metadata":{"generateName":"made-"},"data":{"k":"v"}}`)
}

// TestGeneratedNameIsTriedAgain: a name that is taken costs a try, and the object gets the next that is free.
func TestGeneratedNameIsTriedAgain(t *testing.T) {
	s, names := withSuffixes(t, "aaaaa", "aaaaa", "aaaaa", "bbbbb")
	if a := generate(t, s, ""); a.code != http.StatusCreated || !strings.Contains(a.body, `"name":"made-aaaaa"`) {
		t.Fatalf("%d %s", a.code, a.body)
	}
	for _, query := range []string{"?dryRun=All", ""} {
		names.given = 1 // the next two are taken
		a := generate(t, s, query)
		if a.code != http.StatusCreated || !strings.Contains(a.body, `"name":"made-bbbbb","generateName":"made-"`) || !strings.Contains(a.body, `"k":"v"`) {
			t.Fatalf("%s: %d %s", query, a.code, a.body)
		}
		if names.given != 4 {
			t.Errorf("%s: %d names were generated instead of 4", query, names.given)
		}
	}
}

// TestGeneratedNamesRunOut: after eight tries the client is told to try again itself, as of a name that was generated.
func TestGeneratedNamesRunOut(t *testing.T) {
	s, names := withSuffixes(t, "aaaaa")
	generate(t, s, "")
	for _, query := range []string{"", "?dryRun=All"} {
		names.given = 0
		a := generate(t, s, query)
		st := a.status(t)
		if a.code != http.StatusConflict || st.Reason != "AlreadyExists" || st.Details.RetryAfterSeconds != 1 || st.Details.Name != "made-aaaaa" ||
			st.Message != `configmaps "made-aaaaa" already exists, the server was not able to generate a unique name for the object` {
			t.Errorf("%s: %d %s", query, a.code, a.body)
		}
		if names.given != 8 {
			t.Errorf("%s: %d names were generated instead of 8", query, names.given)
		}
	}
	// A name of the client's own choice is not tried again.
	names.given = 0
	a := do(t, s, http.MethodPost, generatedNames, `{"metadata":{"generateName":"made-","name":"made-aaaaa"}}`)
	if a.code != http.StatusConflict || names.given != 0 {
		t.Errorf("%d names were generated: %d %s", names.given, a.code, a.body)
	}
}

// TestRefusedBeforeItHasAName: as upstream's, what may change an object is asked before a name is made for it.
func TestRefusedBeforeItHasAName(t *testing.T) {
	s, b, url := guarded(t)
	pods := client.Of(client.New(url, s.InProcess(b.Admin.TLS), "test/1"), client.Pods)
	_, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "made-"},
		Spec: corev1.PodSpec{ServiceAccountName: "nobody", Containers: []corev1.Container{{Name: "c", Image: "x"}}}})
	const want = `pods "made-" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
