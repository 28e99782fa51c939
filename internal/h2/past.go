package h2

// An ending is how a stream came to be no more; what a client may still send for it depends on that.
type ending byte

const (
	unknown ending = iota
	ended          // both sides have said all
	byPeer         // the client gave it up
	byUs           // we gave it up, which the client may not know yet
)

// past remembers the last streams that ended.
type past struct {
	ids  [32]uint32
	how  [32]ending
	next int
}

func (p *past) add(id uint32, how ending) {
	p.ids[p.next], p.how[p.next] = id, how
	p.next = (p.next + 1) % len(p.ids)
}

// reset notes that the client has given a stream up, too.
func (p *past) reset(id uint32) {
	for i, known := range p.ids {
		if known == id {
			p.how[i] = byPeer
		}
	}
}

func (p *past) of(id uint32) ending {
	for i, known := range p.ids {
		if known == id {
			return p.how[i]
		}
	}
	return unknown
}

func (p *past) knows(id uint32) bool { return p.of(id) != unknown }

// wrong is what is wrong with HEADERS for a stream that is no more; nil where the client cannot know that.
func (p *past) wrong(id uint32, what string) error {
	switch p.of(id) {
	case byUs:
		return nil
	case byPeer:
		return streamError{id, streamClosed, what + " of a stream that was reset"}
	case ended:
		return connError{streamClosed, what + " of a stream that has ended"}
	}
	return connError{protocolError, what + " of a stream below others"}
}

// late is what is wrong with DATA for a stream that is not open.
func (p *past) late(id, highest uint32) error {
	switch {
	case id > highest || id%2 == 0:
		return connError{protocolError, "DATA of an idle stream"}
	case p.of(id) == byUs:
		return nil
	}
	return streamError{id, streamClosed, "DATA of a stream that has ended"}
}
