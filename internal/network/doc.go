// Package network gives pods their network on one node: a bridge, an address for each pod, the way out and host ports.
//
// The runtime calls Ensure at start, Attach and Detach with each pod sandbox, Sweep after a restart and Teardown when
// the node is taken down. A Network is safe for concurrent use; two on one machine need different bridges, tables and
// address ranges. What should be is computed without touching the kernel (plan*.go, alloc.go); thin files hand it to
// netlink and nftables. Nothing of Kubernetes is imported. To test against it, run it inside a network namespace.
package network
