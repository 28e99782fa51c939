package client

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestMayPass(t *testing.T) {
	nodes := schema.GroupResource{Resource: "nodes"}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("connection refused"), true},
		{apierrors.NewInternalError(errors.New("x")), true},
		{fmt.Errorf("look: %w", apierrors.NewServiceUnavailable("x")), true},
		{apierrors.NewTooManyRequests("x", 1), true},
		{apierrors.NewConflict(nodes, "n", errors.New("x")), true},
		{apierrors.NewAlreadyExists(nodes, "n"), true},
		{apierrors.NewResourceExpired("x"), true},
		{fmt.Errorf("look: %w", apierrors.NewForbidden(nodes, "n", errors.New("x"))), false},
		{apierrors.NewUnauthorized("x"), false},
		{apierrors.NewNotFound(nodes, "n"), false},
		{apierrors.NewBadRequest("x"), false},
	} {
		if got := MayPass(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
