package suite

import (
	"bytes"
	"os"
	"time"
)

// tell says every half minute how far a run has come, from ginkgo's log: until the returned function is called, which
// waits for the last word.
func (s Suite) tell(log string, total int) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		start, tick := time.Now(), time.NewTicker(30*time.Second)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			if body, err := os.ReadFile(log); err == nil {
				done, failed := progress(body)
				s.Log.Info("running", "ended", done, "of", total, "failed", failed, "seconds", int(time.Since(start).Seconds()))
			}
		}
	}()
	return func() { close(end); <-ended }
}

// progress counts the tests that have ended, and those of them that have failed. Ginkgo begins what it says of each with
// a bullet; what it filtered out has an S.
func progress(log []byte) (ended, failed int) {
	for _, word := range []string{"[FAILED]", "[TIMEDOUT]", "[PANICKED!]", "[INTERRUPTED]"} {
		failed += bytes.Count(log, []byte("• "+word))
	}
	return bytes.Count(log, []byte("•")), failed
}
