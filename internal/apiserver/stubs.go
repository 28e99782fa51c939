package apiserver

import (
	"errors"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/types"
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

func newUID() types.UID { return types.UID(uuid.NewString()) }
