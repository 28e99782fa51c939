// Package runtime is Minato's container runtime: a CRI v1 server on a unix socket that runs pods on this machine.
//
// The program starts it as one stage (New, Run); a kubelet, ours or upstream's, calls it over the socket. One CRI verb is
// one file, <object>_<verb>.go. Each verb observes what the ledger and the kernel say, compares it with what is asked,
// takes one step and records it; steps can be repeated and undone without having been done, so that a crash anywhere is
// mended by running the same steps again at the next start (recover.go). Containers are children of the shim and live
// on without this process.
//
// What is where:
//
//	<Root>/ledger/{sandboxes,containers}.journal    what is intended and was last seen
//	<Root>/containers/<id>/{upper,work}             a container's writable layer, kept until it is removed
//	<Root>/mountpoints                              what lies below all image layers
//	<RunDir>/sandboxes/<id>/{ns/*,shm,resolv.conf}  a pod's pinned namespaces, shared memory and files
//	<RunDir>/containers/<id>/{rootfs,config.json}   a container's mounted root and its OCI specification
//
// A Server is safe for concurrent use. To test against it, Run one in temporary directories as root and dial its socket
// with package cri.
package runtime
