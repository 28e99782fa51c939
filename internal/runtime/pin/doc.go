// Package pin makes and keeps the kernel objects of a pod that no process holds: namespaces under bind mounts, a tmpfs
// for shared memory, the overlay that is a container's root file system.
//
// The runtime's steps call it. Everything can be asked for twice and undone without having been done, because each
// function looks at the kernel first. All mounts live below one private tmpfs, the room, so that they neither leak to
// other mount namespaces nor survive a reboot. The functions are safe to call at the same time for different
// directories. Tests need root; they work in a room of their own.
package pin
