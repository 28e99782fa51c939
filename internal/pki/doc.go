// Package pki makes and keeps the keys and certificates of one cluster, and the kubeconfig files that carry them.
//
// The plug board calls EnsureAll once at start and hands each part its own Pair; `minato up` and `minato down` call
// MergeKubeconfig and RemoveKubeconfig. Everything lives under one directory, each file written atomically with mode
// 0600, so that a crash leaves either the old file or the new one. A Bundle is read-only after EnsureAll and safe for
// concurrent use; EnsureAll itself expects to be alone on its directory (the data directory's lock gives that).
// Test it on a temporary directory with a fixed clock.
package pki
