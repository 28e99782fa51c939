// Package build is the door to minato-build, the helper program that makes images from Dockerfiles.
//
// The command line fills an Order and calls Exec, which turns this process into the helper: there is no daemon, no socket
// for others, and the program that holds Kubernetes is gone from memory while an image is being made. The helper reads
// the Order, does it, and ends. BuildKit is linked by the room below (internal/build/kit) and by the helper alone; this
// package knows nothing of it, so that the command line may import it.
//
// An Order is data. The Parse functions read what users write behind flags; they touch nothing but what they are given.
// To test against it, fill an Order in and compare.
package build
