// Package kit is BuildKit, embedded: it does what an Order of package build says.
//
// Only cmd/minato-build links it, for one Order a process. Run opens the cache, holds it locked, and talks to BuildKit's
// own controller over an in-process connection; nobody else can. What is ours around BuildKit's solver and Dockerfile
// frontend:
//
//	node     the node's images are the only registry that BuildKit sees, over the node's local socket; the node pulls
//	         what it lacks by its own rules (mirrors, credentials, plain HTTP for loopback only)
//	steps    RUN steps are containers of a minato-shim that lives as long as the build needs one
//	images   the finished image goes to the node with those blobs only that the node lacks
//	sweep    what a killed build left (shim, containers, mounts, cgroups) is taken away by the next one
//
// The cache survives a kill at any moment. One process may have it open; a second build waits. To test against the
// package, run cmd/minato-build as root with a busybox image: test/script/testdata/build.txtar.
package kit
