// Package openapi serves the API's description, OpenAPI v2 and v3, from upstream's generated documents.
//
// The documents are embedded compressed and passed on as they are to clients that accept the compression; nothing
// is parsed at start. The API server mounts Handler on /openapi/. Safe for concurrent use. `go generate` writes the embedded files
// from the Kubernetes module, and a test holds them equal.
package openapi
