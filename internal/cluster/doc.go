// Package cluster is the plug board: it puts the rooms together into a running cluster of one process.
//
// Run is the whole of `minato up` without the terminal: it makes or opens a data directory, starts etcd, the API
// server, the node's runtime and network side by side, then kubelet, controllers, scheduler, proxy and DNS, and tells
// each phase as it is reached. Teardown is the way back to a clean machine. It is the only room that imports all
// others; the command line calls it. Test it with whole-program stories (test/script).
package cluster
