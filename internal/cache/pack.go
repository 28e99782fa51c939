package cache

import (
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

// A packer packs renderings of one kind. Objects of a kind are like one another, far more than one is like itself, so each
// is packed by what others look like: a dictionary of some that came before.
//
//	first rendering -> dictionary of it -> another of samples each time that eight times as many have come
//
// A packed rendering keeps its dictionary alive; the growing distance between dictionaries bounds how many there are.
type packer struct {
	dict    *s2.Dict
	samples [][]byte
	seen    int
	renewAt int
}

const (
	packSamples = 8
	renewFirst  = 64 // renderings until the second dictionary
	renewFactor = 8
	dictBytes   = s2.MaxDictSize - 64
)

// dictionary returns by what data is to be packed, and may keep a copy of it as a sample.
func (p *packer) dictionary(data []byte) *s2.Dict {
	p.seen++
	switch {
	case p.dict == nil:
		p.renewAt = renewFirst
		p.samples = append(p.samples, slices.Clone(data))
		p.renew()
	case p.seen == p.renewAt:
		p.renewAt *= renewFactor
		p.samples = append(p.samples, slices.Clone(data))
		p.renew()
	case p.seen%max(1, p.renewAt/packSamples) == 0:
		p.samples = append(p.samples, slices.Clone(data))
	}
	return p.dict
}

// renew makes a dictionary of the samples, and forgets them.
func (p *packer) renew() {
	var all []byte
	for _, s := range p.samples {
		if len(all)+len(s) <= dictBytes {
			all = append(all, s...)
		}
	}
	p.samples = nil
	if len(all) == 0 { // larger than any dictionary: what it begins with may be what all begin with
		return
	}
	if d := s2.MakeDict(all, nil); d != nil {
		p.dict = d
	}
}

var packs = sync.Pool{New: func() any { return new([]byte) }}

// pack returns data in less memory, where that is much less. Its packed form is never as long as the plain one.
func pack(data []byte, dict *s2.Dict) Rendering {
	scratch := packs.Get().(*[]byte)
	defer packs.Put(scratch)
	room := (*scratch)[:cap(*scratch)]
	if dict == nil {
		*scratch = s2.Encode(room, data)
	} else {
		*scratch = dict.Encode(room, data)
	}
	if len(*scratch) > len(data)*3/4 {
		return Rendering{data: data, size: len(data)}
	}
	return Rendering{data: slices.Clone(*scratch), size: len(data), dict: dict}
}

// unpack decodes data, which pack made, into b, which has its size.
func (r Rendering) unpack(b []byte) (err error) {
	if r.dict == nil {
		_, err = s2.Decode(b, r.data)
	} else {
		_, err = r.dict.Decode(b, r.data)
	}
	return err
}
