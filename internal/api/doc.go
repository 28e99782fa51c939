// Package api is every built-in kind that the API serves, as data.
//
// A Resource names one served resource in one version: its place in the URL space and in etcd, its verbs and
// subresources, the rules that apply when it is written (Strategy), the columns kubectl shows and the fields that
// selectors may name. Beside the kinds are the codecs: strict decoding of request bodies, defaults, conversion between
// versions, the encoding that etcd holds, and Index, which reads the little that a cache needs from stored bytes
// without decoding them.
//
// The API server is the main caller. This package knows nothing of HTTP, stores or caches. Everything exported is safe
// for concurrent use; resources are built once and must not be changed. Objects handed to strategies are changed in
// place and must belong to the caller alone.
//
// Callers hold objects of the type that etcd holds (Resource.Storage), with defaults applied; Decode and Convert are the
// ways in and out of other versions. Only the strategies inside see upstream's internal types, since upstream's validation
// speaks of them; the conversion is mostly a cast. To add a kind: one file that describes it, one line in kinds.go. Its
// tests come with upstream's tables: what is stored where, what discovery says.
package api
