// Command gen writes the default RBAC policy of the Kubernetes module into the file named by its argument, in the form
// that package bootstrap reads. `go generate` runs it after the module has been upgraded.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"log"
	"maps"
	"os"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FILE")
	}
	data, err := policy()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], data, 0o644); err != nil {
		log.Fatal(err)
	}
}

func policy() ([]byte, error) {
	cr := rbacv1.ClusterRoleList{Items: append(bootstrappolicy.ClusterRoles(), bootstrappolicy.ControllerRoles()...)}
	crb := rbacv1.ClusterRoleBindingList{Items: append(bootstrappolicy.ClusterRoleBindings(), bootstrappolicy.ControllerRoleBindings()...)}
	var r rbacv1.RoleList
	for _, ns := range slices.Sorted(maps.Keys(bootstrappolicy.NamespaceRoles())) {
		for _, role := range bootstrappolicy.NamespaceRoles()[ns] {
			role.Namespace = ns
			r.Items = append(r.Items, role)
		}
	}
	var rb rbacv1.RoleBindingList
	for _, ns := range slices.Sorted(maps.Keys(bootstrappolicy.NamespaceRoleBindings())) {
		for _, b := range bootstrappolicy.NamespaceRoleBindings()[ns] {
			b.Namespace = ns
			rb.Items = append(rb.Items, b)
		}
	}
	var raw []byte
	for _, list := range []interface{ Marshal() ([]byte, error) }{&cr, &crb, &r, &rb} {
		data, err := list.Marshal()
		if err != nil {
			return nil, err
		}
		raw = append(binary.AppendUvarint(raw, uint64(len(data))), data...)
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(raw); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
