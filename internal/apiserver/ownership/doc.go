// Package ownership holds the schema by which managed fields of the built-in kinds are merged: which lists are maps by
// which keys, what is atomic, what is a default. It is made from upstream's OpenAPI documents of everything that is served,
// as upstream's server does at its start, and written by `go generate` into a small binary file: parsing the text costs
// 70 to 100 ms and 20 MB at each start.
//
// By that schema, Kind finds out who owns what after a write, for the writes that are frequent, at a quarter of what the library
// costs; the library answers for all others. What Kind says is what the library would say: the API server's tests compare
// both on random updates and configurations of every kind.
//
// The API server calls Parser once. Everything is safe for concurrent use. The tests compare the file with upstream's
// source, so that a new version of Kubernetes cannot be forgotten.
package ownership

//go:generate go run ./generate schema.bin
