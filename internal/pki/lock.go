package pki

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// How long to wait for another writer of a kubeconfig, and after which age its lock counts as left by a crash: writers hold
// it for milliseconds. The wait is the longer of the two, so that a crash of our own never stops the next start.
const (
	lockWait  = 5 * time.Second
	lockStale = 3 * time.Second
	lockRetry = 20 * time.Millisecond
)

// lockKubeconfig takes the lock that kubectl takes too: the file path.lock, made exclusively.
func lockKubeconfig(path string) (unlock func(), err error) {
	lock := path + ".lock"
	for deadline := time.Now().Add(lockWait); ; time.Sleep(lockRetry) {
		f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			f.Close()
			return func() { os.Remove(lock) }, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("kubeconfig: %w", err)
		}
		if st, err := os.Stat(lock); err == nil && time.Since(st.ModTime()) > lockStale {
			os.Remove(lock)
			continue
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("kubeconfig %s is locked by another program: if none runs, remove %s", path, lock)
		}
	}
}

func certOnly(data []byte) []byte { return pem.EncodeToMemory(findBlock(data, certBlock)) }
func keyOnly(data []byte) []byte  { return pem.EncodeToMemory(findBlock(data, keyBlock)) }
