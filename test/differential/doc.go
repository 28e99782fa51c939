// Package differential puts the same requests to our API server and to upstream's kube-apiserver, each on an etcd of its
// own, and compares what they answer: status, headers, bodies, watch events, and at the end what etcd holds.
//
// A Pair sends one Request to both Sides at once and gives every Difference a name; accepted.yaml lists those that we
// know of, each with a reason, and the test fails as soon as one of them is no longer seen. Everything runs in a network
// namespace without a way out. `make differential` builds what it needs. Only this package's tests call it; a Pair is
// for one goroutine.
package differential
