// Package upstream builds and runs upstream's Kubernetes as the peer that the commands beside it measure against: etcd
// and kube-apiserver, and on request controller manager, scheduler, containerd, kubelet and kube-proxy, all in a network
// namespace and a cgroup of their own. Only package sides uses it; nothing in it is safe concurrently.
package upstream
