// Package sides starts the two that are compared, ours and upstream's, each in a network namespace of its own, and gives
// the commands in bench the same client, the same data and the same accounting for both. Nothing in it is safe
// concurrently.
package sides
