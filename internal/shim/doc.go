// Package shim is the door to minato-shim, the small process that is parent of all containers of a node.
//
// The node's runtime calls Ensure once and then uses the Client: Create, Start, Signal, Delete, Exec, Attach, Events.
// The shim and its keeper outlive their callers; every call may be repeated after a lost connection, because requests
// are named by the caller (container ID, exec ID) and the shim answers from what it has on record. Calls reconnect by
// themselves while the keeper restarts the shim or the shim upgrades itself.
//
// States of a container, as List and State report them:
//
//	           Create              Start                 init ends
//	(nothing) --------> created --------------> running ------------> exited
//	                       |  Signal(KILL) or init died                  |
//	                       +-------------------------------------------->|  Delete
//	                                                                     +--------> (nothing)
//
// A Client is safe for concurrent use. Tests run the real binary as root on a busybox root file system; see the helper
// files of this package's tests for a bundle in a few lines.
package shim
