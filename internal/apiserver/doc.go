// Package apiserver serves the Kubernetes API: the one truth of a cluster, over HTTP and in process.
//
// A request runs through one pipeline (pipeline.go): request info, authentication, impersonation, authorisation, then
// the verb's own file (get.go, list.go, watch.go, create.go, ...). Reads write the stored bytes of the cache; writes
// decode, default, admit, validate and hand encoded bytes to the store. The server is the only importer of the store and
// the cache; whoever needs objects asks it over HTTP, by InProcess, or, as authorisers and admission do, by Objects.
// Everything exported is safe for concurrent use. To test against it, start a real one with package apiservertest.
package apiserver
