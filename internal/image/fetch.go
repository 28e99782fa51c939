package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// defaultStall is how long a transfer may stand still before its connection is given up.
const defaultStall = 60 * time.Second

// blobReader reads one blob from a registry and goes on where it was when the connection breaks, on the next host
// where one does not have it. Its error is sticky.
type blobReader struct {
	ctx   context.Context // the pull's; a Reader's signature has no room for one
	s     *session
	d     ocispec.Descriptor
	hosts []*endpoint

	off  int64
	body io.ReadCloser
	stop func()
	idle *time.Timer
	// whole: the host has said how long its answer is, so an end without an error is the end of the blob as it has it.
	whole bool
	bad   int // tries without a byte
	err   error
}

// blob opens a blob from its byte number from on.
func (s *session) blob(ctx context.Context, d ocispec.Descriptor, from int64) (*blobReader, error) {
	r := &blobReader{ctx: ctx, s: s, d: d, hosts: s.hosts, off: from}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// Read implements io.Reader.
func (r *blobReader) Read(b []byte) (int, error) {
	for r.err == nil {
		if r.body == nil {
			if r.err = r.open(); r.err != nil {
				break
			}
		}
		n, err := r.body.Read(b)
		r.idle.Reset(r.s.stall)
		r.off += int64(n)
		if n > 0 {
			r.bad = 0
			return n, nil
		}
		if errors.Is(err, io.EOF) && (r.off >= r.d.Size || r.whole) {
			r.err = io.EOF // whoever checks the content finds what is missing
		} else if err != nil {
			r.broken(err)
		}
	}
	return 0, r.err
}

// broken closes the connection and waits a little before the next one.
func (r *blobReader) broken(err error) {
	r.Close()
	if err := context.Cause(r.ctx); err != nil {
		r.err = err
		return
	}
	r.bad++
	if r.bad >= tries {
		r.err = fmt.Errorf("blob %s: %w", r.d.Digest, transferError(err))
		return
	}
	select {
	case <-time.After(100 * time.Millisecond << (2 * (r.bad - 1))):
	case <-r.ctx.Done():
		r.err = context.Cause(r.ctx)
	}
}

// open connects to the first host that has the blob.
func (r *blobReader) open() error {
	var errs []error
	for len(r.hosts) > 0 {
		err := retry(r.ctx, func() error { return r.openAt(r.hosts[0]) })
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if r.ctx.Err() != nil {
			break
		}
		r.hosts = r.hosts[1:]
	}
	return fmt.Errorf("blob %s: %w", r.d.Digest, errors.Join(errs...))
}

func (r *blobReader) openAt(h *endpoint) error {
	ctx, cancel := context.WithCancel(r.ctx)
	header := http.Header{}
	if r.off > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", r.off))
	}
	resp, err := r.s.do(ctx, h, http.MethodGet, "blobs/"+r.d.Digest.String(), header)
	if err != nil {
		cancel()
		return err
	}
	r.body, r.stop, r.whole = resp.Body, cancel, resp.ContentLength >= 0
	r.idle = time.AfterFunc(r.s.stall, cancel)
	if r.off > 0 && resp.StatusCode != http.StatusPartialContent {
		// The host knows no ranges: skip what we have.
		if _, err := io.CopyN(io.Discard, resp.Body, r.off); err != nil {
			r.Close()
			return transferError(err)
		}
	}
	return nil
}

// Close ends the transfer.
func (r *blobReader) Close() error {
	if r.body == nil {
		return nil
	}
	r.idle.Stop()
	r.stop()
	err := r.body.Close()
	r.body = nil
	return err
}
