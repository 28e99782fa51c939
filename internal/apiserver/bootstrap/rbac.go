package bootstrap

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

//go:generate go run ./gen roles.bin.gz

// policyFile holds upstream's default roles and bindings: four protobuf lists, each after its length, compressed.
//
//go:embed roles.bin.gz
var policyFile []byte

// Policy is upstream's default RBAC.
type Policy struct {
	ClusterRoles        rbacv1.ClusterRoleList
	ClusterRoleBindings rbacv1.ClusterRoleBindingList
	Roles               rbacv1.RoleList
	RoleBindings        rbacv1.RoleBindingList
}

// DefaultPolicy reads the embedded policy. The aggregated roles already have their rules.
func DefaultPolicy() (*Policy, error) {
	z, err := gzip.NewReader(bytes.NewReader(policyFile))
	if err != nil {
		return nil, fmt.Errorf("embedded roles: %w", err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("embedded roles: %w", err)
	}
	p := &Policy{}
	for _, list := range []interface{ Unmarshal([]byte) error }{&p.ClusterRoles, &p.ClusterRoleBindings, &p.Roles, &p.RoleBindings} {
		size, n := binary.Uvarint(data)
		if n <= 0 || uint64(len(data)-n) < size {
			return nil, fmt.Errorf("embedded roles: cut short")
		}
		if err := list.Unmarshal(data[n : n+int(size)]); err != nil {
			return nil, fmt.Errorf("embedded roles: %w", err)
		}
		data = data[n+int(size):]
	}
	return p, nil
}

func rbacObjects() ([]wanted, error) {
	p, err := DefaultPolicy()
	if err != nil {
		return nil, err
	}
	if err := p.aggregate(); err != nil {
		return nil, err
	}
	var list []wanted
	for i := range p.ClusterRoles.Items {
		r := &p.ClusterRoles.Items[i]
		list = append(list, wanted{rbacv1.Resource("clusterroles"), r, func(have runtime.Object) (Object, string) { return reviseClusterRole(have, r) }})
	}
	for i := range p.ClusterRoleBindings.Items {
		b := &p.ClusterRoleBindings.Items[i]
		list = append(list, wanted{rbacv1.Resource("clusterrolebindings"), b, func(have runtime.Object) (Object, string) { return reviseClusterRoleBinding(have, b) }})
	}
	for i := range p.Roles.Items {
		r := &p.Roles.Items[i]
		list = append(list, wanted{rbacv1.Resource("roles"), r, func(have runtime.Object) (Object, string) { return reviseRole(have, r) }})
	}
	for i := range p.RoleBindings.Items {
		b := &p.RoleBindings.Items[i]
		list = append(list, wanted{rbacv1.Resource("rolebindings"), b, func(have runtime.Object) (Object, string) { return reviseRoleBinding(have, b) }})
	}
	return list, nil
}

// aggregate fills the rules of admin, edit and view, so that they grant something before their controller runs.
func (p *Policy) aggregate() error {
	all := make([]*rbacv1.ClusterRole, len(p.ClusterRoles.Items))
	for i := range p.ClusterRoles.Items {
		all[i] = &p.ClusterRoles.Items[i]
	}
	for settled := false; !settled; { // edit gathers view, admin gathers edit
		settled = true
		for _, r := range all {
			rules, changed, err := Aggregate(r, all)
			if err != nil {
				return err
			}
			if changed {
				r.Rules, settled = rules, false
			}
		}
	}
	return nil
}
