package bootstrap

import (
	"context"
	"net"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Store is where the objects go, past authentication and admission. Objects are in their v1 types without
// resourceVersion on create; Get returns a shared object or an error for which apierrors.IsNotFound holds. Create
// must set UID and creation time; an AlreadyExists or Conflict from a second server is not an error to Ensure, which
// reads again. All methods are called concurrently.
type Store interface {
	Get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error)
	Create(ctx context.Context, gr schema.GroupResource, obj runtime.Object) error
	Update(ctx context.Context, gr schema.GroupResource, obj runtime.Object) error
}

// Config says what is particular to this cluster.
type Config struct {
	AdvertiseIP    net.IP // of the API server; becomes the kubernetes Service's endpoint
	AdvertisePort  int
	ServiceIP      net.IP   // ClusterIP of default/kubernetes
	ServiceCIDRs   []string // of the ServiceCIDR "kubernetes"
	ClientCAPEM    []byte   // for extension-apiserver-authentication
	FrontProxyPEM  []byte   // the same, requestheader CA
	FrontProxyName string   // allowed common name, "front-proxy-client"
}

// Result counts what Ensure wrote.
type Result struct{ Created, Updated, Unchanged int }

// Ensure brings all objects in order. It writes nothing where nothing differs.
func Ensure(ctx context.Context, s Store, c Config) (Result, error) { return Result{}, nil }

// Aggregate computes the rules of the aggregated cluster role target out of all cluster roles, for the
// controller that keeps them. changed is false where target already has exactly these rules.
func Aggregate(target *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) (rules []rbacv1.PolicyRule, changed bool, err error) {
	return nil, false, nil
}
