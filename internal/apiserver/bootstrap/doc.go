// Package bootstrap writes the objects that every cluster has: system namespaces, RBAC roles and bindings, priority
// classes, flow control defaults, the kubernetes Service and its endpoints.
//
// The API server calls Ensure at each start, once its store answers. It reads what is there, computes what differs,
// and writes only that, many at once. Tests give Store as a map and compare with upstream's lists.
package bootstrap
