package authz

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

func TestNodeRulesAreUpstreams(t *testing.T) {
	if d := cmp.Diff(bootstrappolicy.NodeRules(), nodeRules); d != "" {
		t.Error(d)
	}
}
