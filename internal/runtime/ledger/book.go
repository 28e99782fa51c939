// Package ledger is the runtime's memory on disk: what was asked for and what was last seen, one small file for each
// sandbox and container.
//
// The runtime's verbs call it: they write down what they intend before the first step in the kernel, do one step at a
// time, and write down what came of it. After a crash the same steps are run again from what the ledger says and the
// kernel shows. A Book is safe for concurrent use; the records that it hands out are shared and must not be changed:
// copy, change, Put. To test against it, open one on a temporary directory.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const suffix = ".json"

// A Book holds the records of one kind in one directory, <dir>/<id>.json, and all of them in memory.
type Book[T any] struct {
	dir  string
	mu   sync.RWMutex
	byID map[string]*T
}

// Open reads the records in dir, which it makes where it is missing. A file that does not parse can only be a torn
// write of a machine that lost power, and then nothing in the kernel belongs to it: it is set aside as <id>.json.torn
// and listed in torn.
func Open[T any](dir string) (b *Book[T], torn []string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	b = &Book[T]{dir: dir, byID: map[string]*T{}}
	for _, e := range entries {
		id, isRecord := strings.CutSuffix(e.Name(), suffix)
		switch {
		case strings.HasPrefix(e.Name(), ".tmp-"):
			err = os.Remove(filepath.Join(dir, e.Name()))
		case isRecord:
			torn, err = b.load(id, torn)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("ledger: %w", err)
		}
	}
	return b, torn, nil
}

func (b *Book[T]) load(id string, torn []string) ([]string, error) {
	path := b.path(id)
	data, err := os.ReadFile(path)
	if err != nil {
		return torn, err
	}
	rec := new(T)
	if json.Unmarshal(data, rec) != nil {
		return append(torn, id), os.Rename(path, path+".torn")
	}
	b.byID[id] = rec
	return torn, nil
}

func (b *Book[T]) path(id string) string { return filepath.Join(b.dir, id+suffix) }

// Get returns the record of id, nil where there is none.
func (b *Book[T]) Get(id string) *T {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.byID[id]
}

// All returns the records in no order.
func (b *Book[T]) All() []*T {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Collect(maps.Values(b.byID))
}

// Len counts the records.
func (b *Book[T]) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.byID)
}

// IDs returns the ids that start with prefix, in no order.
func (b *Book[T]) IDs(prefix string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var ids []string
	for id := range b.byID {
		if strings.HasPrefix(id, prefix) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Put makes rec the record of id. When it returns without an error the record survives a power cut: it is for what a
// client is told. Two Puts of one id at a time are the caller's mistake: verbs hold the object's lock.
func (b *Book[T]) Put(id string, rec *T) error { return b.write(id, rec, true) }

// Note is Put for an intention that nobody has been told of. It survives the end of this process at once, but not a
// power cut, which would take away all that the intention is about.
func (b *Book[T]) Note(id string, rec *T) error { return b.write(id, rec, false) }

func (b *Book[T]) write(id string, rec *T, durable bool) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("ledger: %s: %w", id, err)
	}
	if err := replace(b.dir, b.path(id), data, durable); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID[id] = rec
	return nil
}

// Delete forgets id. An unknown id is no error. After a power cut the record may be back; it is then one of an earlier
// boot, and is removed again by whoever asked for its removal.
func (b *Book[T]) Delete(id string) error {
	if err := os.Remove(b.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ledger: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.byID, id)
	return nil
}

// replace puts data at path in dir, whole or not at all.
func replace(dir, path string, data []byte, durable bool) error {
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil && durable {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if !durable {
		return nil
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
