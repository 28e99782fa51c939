package suite

import "testing"

func TestProgressCountsBullets(t *testing.T) {
	const log = "SSS•SS••S\n------------------------------\n• [FAILED] [12.031 seconds]\n[sig-x] a [It] b\n  [FAILED] no pod\n" +
		"------------------------------\nS• [SLOW TEST] [6.1 seconds]\nS• [TIMEDOUT] [360.0 seconds]\n"
	if ended, failed := progress([]byte(log)); ended != 6 || failed != 2 {
		t.Errorf("%d ended, %d failed", ended, failed)
	}
}
