package h2

import (
	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// block is a header block on its way in: one HEADERS frame and its CONTINUATIONs. The decoder's table must see every block, also
// those that nobody wants any more.
type block struct {
	open      bool // more of it must come next
	stream    uint32
	endStream bool
	self      bool // a stream that depends on itself
	wire      int  // bytes of it so far
	frames    int

	fields  []hpack.HeaderField
	size    int // as SETTINGS_MAX_HEADER_LIST_SIZE counts
	regular bool
	long    bool   // too large: fields lacks the rest
	bad     string // why it is malformed
}

const (
	fieldCost      = 32   // RFC 9113 6.5.2
	keptFields     = 64   // room that a connection keeps for its next block
	emptyFragments = 16   // more in one block are an attack
	manyFields     = 2000 // so are more fields; their maps cost more than they count for
)

// begin starts a block with what its HEADERS frame says.
func (b *block) begin(h head) {
	fields := b.fields[:0]
	if cap(fields) > keptFields {
		fields = nil
	}
	clear(fields[:cap(fields)])
	*b = block{open: true, stream: h.stream, endStream: h.has(flagEndStream), fields: fields}
}

// add counts a fragment before it is decoded. It returns an error where a client sends what no header list can need.
func (b *block) add(n, limit int) error {
	b.frames++
	if b.wire += n; b.wire > 2*limit || n == 0 && b.frames > emptyFragments {
		return connError{enhanceYourCalm, "header block too large"}
	}
	return nil
}

// field takes one decoded field.
func (b *block) field(f hpack.HeaderField, limit int) {
	if b.size += len(f.Name) + len(f.Value) + fieldCost; b.size > limit || len(b.fields) == manyFields {
		b.long = true
		return
	}
	switch {
	case b.bad != "":
		return
	case !httpguts.ValidHeaderFieldValue(f.Value):
		b.bad = "invalid value of a header field"
		return
	case len(f.Name) > 0 && f.Name[0] == ':':
		if b.regular {
			b.bad = "pseudo-header field after others"
		}
	default:
		b.regular = true
		if b.bad = wrongName(f); b.bad != "" {
			return
		}
	}
	b.fields = append(b.fields, f)
}

// wrongName says why a field may not be in an HTTP/2 message.
func wrongName(f hpack.HeaderField) string {
	if _, ok := canonicalOf[f.Name]; !ok {
		if !httpguts.ValidHeaderFieldName(f.Name) {
			return "invalid name of a header field"
		}
		for i := range len(f.Name) {
			if c := f.Name[i]; 'A' <= c && c <= 'Z' {
				return "upper case in the name of a header field"
			}
		}
	}
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return "field that belongs to a connection"
	case "te":
		if f.Value != "trailers" && f.Value != "" {
			return "TE other than trailers"
		}
	}
	return ""
}

// pseudo are the fields that make a request line.
type pseudo struct {
	method, scheme, path, authority string
	hasPath, hasScheme, hasHost     bool
}

// request splits the pseudo-header fields off; bad is why the request is malformed.
func (b *block) request() (p pseudo, rest []hpack.HeaderField, bad string) {
	rest, bad = b.fields, b.bad
	seen := [4]bool{}
	for bad == "" && len(rest) > 0 && rest[0].Name[0] == ':' {
		f := rest[0]
		at := 0
		switch f.Name {
		case ":method":
			p.method = f.Value
		case ":scheme":
			at, p.scheme, p.hasScheme = 1, f.Value, true
		case ":path":
			at, p.path, p.hasPath = 2, f.Value, true
		case ":authority":
			at, p.authority, p.hasHost = 3, f.Value, true
		default: // extended CONNECT is not offered
			return p, rest, "unknown pseudo-header field"
		}
		if seen[at] {
			return p, rest, "pseudo-header field twice"
		}
		seen[at], rest = true, rest[1:]
	}
	if bad == "" {
		bad = p.wrong()
	}
	return p, rest, bad
}

func (p *pseudo) wrong() string {
	switch {
	case p.method == "CONNECT":
		if p.hasPath || p.hasScheme || p.authority == "" {
			return "CONNECT takes an authority alone"
		}
	case !httpguts.ValidHeaderFieldName(p.method):
		return "no valid method"
	case p.path == "":
		return "no path"
	case p.scheme != "https" && p.scheme != "http":
		return "no scheme of HTTP"
	}
	return ""
}
