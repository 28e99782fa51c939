package apiserver

import (
	"bytes"
	"sync/atomic"

	"minato.dev/minato/internal/apiserver/negotiate"
	"minato.dev/minato/internal/cache"
)

// frames are the latest events of a resource as they were framed, while many watch it: all but the first of them copy.
// An event has one place, by its revision; what is there may be any other's.
type frames [64]atomic.Pointer[framed]

// framed is one event in one encoding.
type framed struct {
	kind   string
	object *cache.Object
	media  negotiate.Media
	bytes  []byte
}

// largestFrame is shared; longer ones cost little to frame for their length.
const largestFrame = 16 << 10

// appendShared is appendStored, with what another watcher has framed where that is still there.
func (r *resource) appendShared(b []byte, kind string, o *cache.Object, media negotiate.Media) ([]byte, error) {
	if r.watchers.Load() <= fewWatchers {
		return r.appendStored(b, kind, o, media)
	}
	place := &r.frames[uint64(o.Revision)%uint64(len(r.frames))]
	if f := place.Load(); f != nil && f.object == o && f.kind == kind && f.media == media {
		return append(b, f.bytes...), nil
	}
	at := len(b)
	b, err := r.appendStored(b, kind, o, media)
	if err == nil && len(b)-at <= largestFrame {
		place.Store(&framed{kind, o, media, bytes.Clone(b[at:])})
	}
	return b, err
}

func (f *frames) forget() {
	for i := range f {
		f[i].Store(nil)
	}
}
