// Package ownership holds the schema by which managed fields of the built-in kinds are merged: which lists are maps by
// which keys, what is atomic, what is a default. It is upstream's (k8s.io/client-go/applyconfigurations), written by
// `go generate` into a small binary file: parsing upstream's 18,000 lines of YAML costs 70 to 100 ms and 20 MB at each
// start, and importing that package links every version of every kind that ever was.
//
// The API server calls Parser once. Everything is safe for concurrent use. The tests compare the file with upstream's
// source, so that a new version of Kubernetes cannot be forgotten.
package ownership

//go:generate go run ./generate schema.bin
