package apiserver

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/types"
	"minato.dev/minato/internal/api"
)

var errTodo = errors.New("not built")

func (c *call) review() error       { return errTodo }
func (c *call) getScale() error     { return errTodo }
func (c *call) updateScale() error  { return errTodo }
func (c *call) patchScale() error   { return errTodo }
func (c *call) bind() error         { return errTodo }
func (c *call) evict() error        { return errTodo }
func (c *call) token() error        { return errTodo }
func (c *call) connectPod() error   { return errTodo }
func (c *call) connectProxy() error { return errTodo }

type kubelets struct{}

func newKubelets(*Server) *kubelets { return &kubelets{} }

type addresses struct{}

func newAddresses(*Server) (*addresses, error) { return &addresses{}, nil }
func (a *addresses) load() error               { return nil }
func (a *addresses) create(c *call, obj api.Object, dryRun bool) (api.Object, func(bool), error) {
	return obj, func(bool) {}, nil
}
func (a *addresses) update(c *call, obj, old api.Object, dryRun bool) (api.Object, func(bool), error) {
	return obj, func(bool) {}, nil
}
func (a *addresses) release(ctx context.Context, obj api.Object) {}
func newUID() types.UID                                          { return types.UID(uuid.NewString()) }
