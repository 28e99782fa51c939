// Package container runs single containers without a cluster, as `minato run` offers them.
//
// It is a client of the node's container runtime, beside the kubelet and unknown to it: each container is a sandbox of
// its own with the label Label and without a pod's labels. All that is known of it stands in the runtime's ledger, as
// annotations; there is no state of our own. The command line calls an Engine; whoever serves the node (a cluster, or a
// host without one) runs a Keeper, which removes and restarts containers that ended.
//
// States, with what the words of docker are:
//
//	Create --> created -- Start --> running -- end, Stop --> exited -- Remove --> (nothing)
//	                        ^                                  |
//	                        +--- Keeper, by restart policy ----+
//
// Engine and Keeper are safe for concurrent use. To test against them, serve a runtime on a socket and dial it.
package container
