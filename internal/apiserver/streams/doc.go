// Package streams carries what clients say over WebSockets to kubelets, which speak SPDY: exec and attach stream by
// stream (the client's protocol is v5.channel.k8s.io), a port-forward as a tunnel (SPDY/3.1+portforward.k8s.io).
//
// Clients that speak SPDY themselves need nothing of this. The API server's connections call it; each call serves one
// connection and returns after its goroutines. The upstream package that does the same, k8s.io/apiserver/pkg/util/proxy,
// links informers and the typed clients of every version of every kind, for the address of a Service. Tests drive it
// with the real kubectl, see connect_test.go beside the API server.
package streams
