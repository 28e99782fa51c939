package streams

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/exec"
)

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		err    error
		status string
		reason metav1.StatusReason
		code   int32
		causes string
	}{
		{err: nil, status: "Success"},
		{err: exec.CodeExitError{Err: errors.New("x"), Code: 3}, status: "Failure", reason: "NonZeroExitCode", causes: "3"},
		{err: fmt.Errorf("around: %w", apierrors.NewBadRequest("no")), status: "Failure", reason: "BadRequest", code: 400},
		{err: errors.New("broken"), status: "Failure", reason: "InternalError", code: 500, causes: "broken"},
	} {
		got := outcome(c.err)
		causes := ""
		if got.Details != nil && len(got.Details.Causes) > 0 {
			causes = got.Details.Causes[0].Message
		}
		if got.Status != c.status || got.Reason != c.reason || got.Code != c.code || causes != c.causes {
			t.Errorf("%v: got %+v", c.err, got)
		}
	}
}

func TestTunnelled(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Sec-WebSocket-Protocol", "v5.channel.k8s.io, SPDY/3.1+portforward.k8s.io, SPDY/3.1+other")
	if got := tunnelled(r); !slices.Equal(got, []string{"portforward.k8s.io"}) {
		t.Errorf("got %q", got)
	}
	r.Header.Del("Sec-WebSocket-Protocol")
	if err := Tunnel(httptest.NewRecorder(), r, nil, nil); !apierrors.IsBadRequest(err) {
		t.Errorf("got %v", err)
	}
}
