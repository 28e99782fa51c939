package runtime

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// layerSizes remembers how large each writable layer was when it was last walked. A walk is dear, so a layer is walked
// again only after ten seconds or fifty times what the walk took.
type layerSizes struct {
	mu   sync.Mutex
	byID map[string]layerSize
}

type layerSize struct {
	bytes, inodes uint64
	at            time.Time
	took          time.Duration
}

func (l *layerSizes) get(id, dir string, now time.Time) (layerSize, error) {
	l.mu.Lock()
	old, known := l.byID[id]
	l.mu.Unlock()
	if known && now.Sub(old.at) < max(10*time.Second, 50*old.took) {
		return old, nil
	}
	begin := time.Now()
	bytes, inodes, err := walk(dir)
	if err != nil {
		return layerSize{}, err
	}
	size := layerSize{bytes, inodes, now, time.Since(begin)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]layerSize{}
	}
	l.byID[id] = size
	return size, nil
}

func (l *layerSizes) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
}

// walk sums the blocks below dir, each inode once. What disappears meanwhile is not there.
func walk(dir string) (bytes, inodes uint64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Nlink > 1 && !e.IsDir() && seen[st.Ino] {
			return nil
		}
		if st.Nlink > 1 && !e.IsDir() {
			seen[st.Ino] = true
		}
		bytes += uint64(st.Blocks) * 512
		inodes++
		return nil
	})
	return bytes, inodes, err
}
