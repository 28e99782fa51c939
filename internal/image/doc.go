// Package image keeps container images on a node: it pulls them from registries, loads them from archives, unpacks
// their layers so that overlayfs can mount them, and forgets them again.
//
// The runtime (CRI image service and container start) and `minato image` call it. A Store is safe for concurrent use
// within one process; one process opens a directory at a time. What is on disk:
//
//	blobs/<algorithm>/<hex>     manifests, configs and layers as they came, named by what they hold
//	layers/<chain id hex>/fs    one unpacked layer, ready to be an overlay lower directory
//	images/<image id hex>.json  one record an image: its names, digests, layers
//	partial/<hex>               what has arrived of a layer whose pull was broken off
//	tmp/                        everything half made; emptied at Open
//
// Whatever appears under its final name is complete: it was written and synced under tmp first, then renamed. Records
// come last, so a crash leaves at most blobs and layers that no record names, which Prune takes.
//
// To test against it, Open one on a temporary directory and Load an archive, or call EnsureBuiltin.
package image
