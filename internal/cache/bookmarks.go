package cache

import "time"

// bookmarks is who asked for them, and one timer that runs while there is anyone. The cache's lock guards it.
type bookmarks struct {
	every time.Duration
	who   watchers
	timer *time.Timer
}

func (b *bookmarks) add(w *Watcher) {
	if b.who == nil {
		b.who = watchers{}
	}
	if b.who[w] = struct{}{}; len(b.who) > 1 {
		return
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(b.every, w.cache.bookmarkAll)
		return
	}
	b.timer.Reset(b.every)
}

func (b *bookmarks) remove(w *Watcher) {
	if delete(b.who, w); len(b.who) == 0 && b.timer != nil {
		b.timer.Stop()
	}
}

// bookmarkAll is the timer's.
func (c *Cache) bookmarkAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.marked.who) == 0 {
		return
	}
	for w := range c.marked.who {
		w.AskBookmark()
	}
	c.marked.timer.Reset(c.marked.every)
}
