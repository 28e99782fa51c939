package h2

import "io"

// inputSize is enough for most frames but those of bodies: an idle connection holds it.
const inputSize = 2 << 10

// input reads a connection through a small buffer.
type input struct {
	from io.Reader
	buf  []byte
	r, w int
}

// has says whether n bytes can be read without waiting.
func (in *input) has(n int) bool { return in.w-in.r >= n }

// next returns the next n bytes; they are valid until the next call.
func (in *input) next(n int) ([]byte, error) {
	if n > len(in.buf) {
		p := make([]byte, n)
		return p, in.full(p)
	}
	if in.w-in.r < n {
		if err := in.fill(n); err != nil {
			return nil, err
		}
	}
	in.r += n
	return in.buf[in.r-n : in.r], nil
}

// fill reads until n bytes are pending.
func (in *input) fill(n int) error {
	in.w = copy(in.buf, in.buf[in.r:in.w])
	in.r = 0
	for in.w < n {
		m, err := in.from.Read(in.buf[in.w:])
		if in.w += m; err != nil && in.w < n {
			if err == io.EOF && in.w > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// full fills p.
func (in *input) full(p []byte) error {
	n := copy(p, in.buf[in.r:in.w])
	in.r += n
	_, err := io.ReadFull(in.from, p[n:])
	if n > 0 && err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
