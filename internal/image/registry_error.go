package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// RegistryError is a registry's refusal, in its own words.
type RegistryError struct {
	Method, URL string
	Status      int
	Words       []string // "manifest unknown: manifest unknown"
	After       time.Duration
}

// Error is one line.
func (e *RegistryError) Error() string {
	status := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if len(e.Words) == 0 {
		return fmt.Sprintf("%s %s: %s", e.Method, e.URL, status)
	}
	return fmt.Sprintf("%s %s: %s: %s", e.Method, e.URL, status, strings.Join(e.Words, "; "))
}

// Is sorts refusals into the package's kinds.
func (e *RegistryError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	case ErrUnavailable:
		return e.Status == http.StatusTooManyRequests || e.Status >= 500
	}
	return false
}

// readRefusal closes resp and keeps what it said.
func readRefusal(resp *http.Response, method string) error {
	defer resp.Body.Close()
	e := &RegistryError{Method: method, Status: resp.StatusCode}
	if resp.Request != nil {
		e.URL = resp.Request.URL.Redacted()
	}
	if s, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s"); err == nil {
		e.After = s
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		e.Words = []string{"its answer broke off: " + err.Error()}
		return e
	}
	e.Words = refusalWords(raw, resp.Header.Get("Content-Type"))
	return e
}

func refusalWords(raw []byte, mediaType string) (words []string) {
	var body struct {
		Errors []struct {
			Code, Message string
			Detail        json.RawMessage
		}
		Details, Message string // token servers
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		if line := strings.TrimSpace(string(raw)); line != "" && len(line) < 300 && !strings.Contains(mediaType, "html") {
			return []string{line}
		}
		return nil
	}
	for _, x := range body.Errors {
		w := strings.ToLower(strings.ReplaceAll(x.Code, "_", " ")) + ": " + x.Message
		if d := string(x.Detail); d != "" && d != "null" && d != "{}" {
			w += " " + d
		}
		words = append(words, w)
	}
	for _, w := range []string{body.Details, body.Message} {
		if w != "" {
			words = append(words, w)
		}
	}
	return words
}

// errTransfer marks a connection's fault, which a further try may not have.
var errTransfer = errors.New("transfer broke off")

func transferError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", errTransfer, err)
}

// passing reports whether err may be gone at the next try.
func passing(err error) bool {
	var refusal *RegistryError
	if errors.As(err, &refusal) {
		return refusal.Status == http.StatusTooManyRequests && refusal.After <= maxPause || refusal.Status >= 500
	}
	var timeout net.Error
	return errors.Is(err, errTransfer) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.As(err, &timeout) && timeout.Timeout()
}

const (
	tries    = 4
	maxPause = 10 * time.Second
)

// retry calls f until it succeeds, fails for good or has had its tries.
func retry(ctx context.Context, f func() error) error {
	pause := 100 * time.Millisecond
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == tries || ctx.Err() != nil || !passing(err) {
			return err
		}
		var refusal *RegistryError
		wait := pause
		if errors.As(err, &refusal) {
			wait = min(max(wait, refusal.After), maxPause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause *= 3
	}
}
