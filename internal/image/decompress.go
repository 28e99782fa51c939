package image

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow bounds the memory that an archive can ask for.
const maxZstdWindow = 128 << 20

var (
	gzipMagic  = []byte{0x1f, 0x8b}
	zstdMagic  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	bzip2Magic = []byte("BZh")
	xzMagic    = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
)

// decompress looks at the first bytes, because media types and file names are often wrong. Close frees its memory, ends
// its reading of r and does not close r.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(len(xzMagic))
	if err != nil && len(head) == 0 && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		return gzip.NewReader(b)
	case bytes.HasPrefix(head, zstdMagic), len(head) > 3 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case bytes.HasPrefix(head, bzip2Magic):
		return decompressBy("bzip2", b)
	case bytes.HasPrefix(head, xzMagic):
		return decompressBy("xz", b)
	}
	return io.NopCloser(b), nil
}

// isOddlyPacked reports a compression that docker load reads and no manifest has a media type for.
func isOddlyPacked(head []byte) bool {
	return bytes.HasPrefix(head, bzip2Magic) || bytes.HasPrefix(head, xzMagic)
}
