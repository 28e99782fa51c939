// Package ledger is the runtime's memory on disk: what was asked for and what was last seen of each sandbox and container.
//
// The runtime's verbs call it: they write down what they intend before the first step in the kernel, do one step at a
// time, and write down what came of it. After a crash the same steps are run again from what the ledger says and the
// kernel shows. A Book is safe for concurrent use; the records that it hands out are shared and must not be changed:
// copy, change, Put. To test against it, open one in a temporary directory.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A Book holds the records of one kind in one file, and all of them in memory.
type Book[T any] struct {
	log  *log
	mu   sync.RWMutex
	byID map[string]*T
}

// Open reads the records in the file at path, which it makes where it is missing, with its directory. What a crash left
// half written at its end is nobody's. Lines within it that cannot be read are the disk's fault: torn counts them, and the
// file as it was stays beside it as <path>.torn.
func Open[T any](path string) (b *Book[T], torn int, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, 0, fmt.Errorf("ledger: %w", err)
	}
	lines, torn, err := replay(path)
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: %w", err)
	}
	b = &Book[T]{byID: map[string]*T{}}
	for id, data := range lines {
		rec := new(T)
		if json.Unmarshal(data, rec) == nil {
			b.byID[id] = rec
			continue
		}
		delete(lines, id)
		torn++
	}
	if torn > 0 {
		if err := errors.Join(removed(path+".torn"), os.Link(path, path+".torn")); err != nil {
			return nil, 0, fmt.Errorf("ledger: %w", err)
		}
	}
	if b.log, err = newLog(path, lines); err != nil {
		return nil, 0, fmt.Errorf("ledger: %w", err)
	}
	return b, torn, nil
}

// Read returns the records in the file at path, which a Book may have open.
func Read[T any](path string) ([]*T, error) {
	lines, _, err := replay(path)
	var all []*T
	for id, data := range lines {
		rec := new(T)
		if err := json.Unmarshal(data, rec); err != nil {
			return nil, fmt.Errorf("ledger: %s: %w", id, err)
		}
		all = append(all, rec)
	}
	return all, err
}

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

// Note is Put for what a power cut would take away with all that it is about, such as an intention that nobody has been told
// of. It survives the end of this process at once.
func (b *Book[T]) Note(id string, rec *T) error { return b.write(id, rec, false) }

func (b *Book[T]) write(id string, rec *T, durable bool) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("ledger: %s: %w", id, err)
	}
	if err := b.log.append(encode(id, data), durable); err != nil {
		return fmt.Errorf("ledger: %s: %w", id, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byID[id] = rec
	return nil
}

// Delete forgets id. An unknown id is no error. After a power cut the record may be back; it is then one of an earlier
// boot, and is removed again by whoever asked for its removal.
func (b *Book[T]) Delete(id string) error {
	if err := b.log.append(encode(id, nil), false); err != nil {
		return fmt.Errorf("ledger: %s: %w", id, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.byID, id)
	return nil
}
