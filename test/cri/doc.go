// Package cri holds tables over CRI v1: what a kubelet may ask of a container runtime and what it has to hear. Each case
// asks our runtime, on a real socket, and its transcript must be the one that stands in the table. With -containerd the
// same cases ask upstream's containerd with runc in the same run; where its transcript is another one, accepted.yaml has
// it and says why ours stays as it is.
//
//	go test ./test/cri                             ours alone, seconds
//	go test ./test/cri -args -containerd           beside containerd, a minute (make critest)
//	go test ./test/cri -run 'TestCRI/mounts' -v    one table
//
// The tests run as root, in network and mount namespaces of their own.
package cri
