package store

import (
	"sync"
	"time"
	_ "unsafe" // go:linkname
)

// etcd looks ten times a second whether a watcher has fallen behind, which is half of what an idle cluster wakes up for.
// The two variables are not constants in etcd "so modifiable by tests"; nothing exported sets them.
//
// A watcher falls behind when it begins at an old revision, or when more answers wait for it than its channel holds. With
// room for more answers the second does not happen to readers that read; the first costs a second at most, once.
const (
	resyncPeriod  = time.Second
	answersQueued = 2048
)

//go:linkname watchResyncPeriod go.etcd.io/etcd/server/v3/storage/mvcc.watchResyncPeriod
var watchResyncPeriod time.Duration

//go:linkname chanBufLen go.etcd.io/etcd/server/v3/storage/mvcc.chanBufLen
var chanBufLen int

// calmWatchers sets them once, before the first member of this process starts.
var calmWatchers = sync.OnceFunc(func() { watchResyncPeriod, chanBufLen = resyncPeriod, answersQueued })
