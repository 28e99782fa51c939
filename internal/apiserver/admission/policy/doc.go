// Package policy evaluates admission policies: the CEL expressions of ValidatingAdmissionPolicy and MutatingAdmissionPolicy,
// for the writes that their bindings choose.
//
// The admission chain calls Engine.Validate and Engine.Mutate for each write. match.go (pure) says whether a policy or a binding
// means a write, compile.go turns a policy into a program and keeps it for as long as the policy stays as it is, params.go finds
// what a binding points at, check.go and change.go evaluate. Compiler and evaluation are upstream's (plugin/cel), for they are
// the definition of the language. An Engine is safe for concurrent use. Tests give Objects as a map.
//
// Policies and bindings are read anew for each write, from the server's own cache: what was written is in force when the cache
// has seen it, which takes no longer than a watch does.
package policy
