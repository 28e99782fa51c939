// Package authz decides whether a user may do something: the system:masters group, paths open to all, the node
// authorizer and RBAC, in this order, as upstream's --authorization-mode=Node,RBAC.
//
// The API server's filter chain calls Authorize; reviews call it and RulesFor; writes of roles and bindings call
// ConfirmNoEscalation and ConfirmBind. The API server feeds every change of the kinds in Watched to Observe, in order. All
// decisions read indexes that are rebuilt only on change, so none walks all bindings. Safe for concurrent use; Observe
// is to be called by one goroutine a kind. Tests feed objects by Observe.
package authz
