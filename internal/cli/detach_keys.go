package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// detachKeys are those by which the user of a terminal leaves a container alone.
type detachKeys struct {
	text string
	keys []byte
}

func (d *detachKeys) bind(c *cobra.Command) {
	c.Flags().StringVar(&d.text, "detach-keys", "ctrl-p,ctrl-q", "keys that leave a container with a terminal alone; empty for none")
}

// parse reads docker's form: letters and ctrl-LETTER with commas between.
func (d *detachKeys) parse() error {
	d.keys = nil
	if d.text == "" {
		return nil
	}
	for key := range strings.SplitSeq(d.text, ",") {
		c, control := strings.CutPrefix(strings.ToLower(key), "ctrl-")
		switch {
		case !control && len(key) == 1:
			d.keys = append(d.keys, key[0])
		case control && len(c) == 1 && strings.Contains("@abcdefghijklmnopqrstuvwxyz[\\]^_", c):
			d.keys = append(d.keys, c[0]&0x1f)
		default:
			return exitError{2, fmt.Errorf("--detach-keys %q: %q must be a character or ctrl- and a letter, for example ctrl-p,ctrl-q", d.text, key)}
		}
	}
	return nil
}

// copyUntil copies until either side ends, or the keys come in r, which are not passed on. What only begins like them is
// passed on when it goes on otherwise.
func copyUntil(w io.Writer, r io.Reader, keys []byte) (found bool) {
	if len(keys) == 0 {
		_, _ = io.Copy(w, r) // the end of either side is the end of it
		return false
	}
	var held []byte
	for b := make([]byte, 4096); ; {
		n, err := r.Read(b)
		held = append(held, b[:n]...)
		if at := bytes.Index(held, keys); at >= 0 {
			_, _ = w.Write(held[:at])
			return true
		}
		keep := beginning(held, keys)
		if err != nil {
			keep = 0
		}
		if _, failed := w.Write(held[:len(held)-keep]); failed != nil || err != nil {
			return false
		}
		held = append(held[:0], held[len(held)-keep:]...)
	}
}

// beginning is how many bytes at the end of b may be the first of the keys.
func beginning(b, keys []byte) int {
	for n := min(len(b), len(keys)-1); n > 0; n-- {
		if bytes.HasSuffix(b, keys[:n]) {
			return n
		}
	}
	return 0
}
