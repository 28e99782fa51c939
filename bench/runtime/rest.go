package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// points are how often memory is read while pods become more; between them, rest is what each side gets to finish what it does
// late, as runtimes collect garbage and give it back.
const (
	points = 6
	rest   = 3 * time.Second
)

// held is what one more of something adds, in bytes.
type held struct {
	user   int64 // to the runtime's own processes
	kernel int64 // to the kernel
}

// idle is what each pod that sleeps adds to the memory of the runtime's own processes and of the kernel, and what its program
// adds by itself: started as often without any container, in one plain cgroup.
func (c *config) idlePods(ctx context.Context, both [2]*side, res *[2]result) error {
	for k, s := range both {
		var pods []pod
		h, err := c.each(ctx, s.memory, func(ctx context.Context) error {
			p, err := s.start(ctx)
			pods = append(pods, p)
			return err
		})
		for _, p := range pods {
			if p.container != "" {
				err = errors.Join(err, s.remove(ctx, p))
			}
		}
		if err != nil {
			return err
		}
		res[k].idle = h
	}
	bare, err := newBare()
	if err != nil {
		return err
	}
	h, err := c.each(ctx, func(context.Context) (int64, error) { return 0, nil }, bare.start)
	res[0].program, res[1].program = h.kernel, h.kernel
	return errors.Join(err, bare.close())
}

// each adds c.idle of something, and reads what is held each time that a part of them has come. One more holds the median of
// what all pairs of readings differ by: a collection of garbage between two of them does not matter then.
func (c *config) each(ctx context.Context, user func(context.Context) (int64, error), add func(context.Context) error) (held, error) {
	var at []int
	var read []held
	look := func(n int) error {
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		u, err := user(ctx)
		if err != nil {
			return err
		}
		k, err := kernelMemory(ctx)
		at, read = append(at, n), append(read, held{u, k})
		return err
	}
	for i := range c.idle + 1 {
		if i%max(1, c.idle/(points-1)) == 0 {
			if err := look(i); err != nil {
				return held{}, err
			}
		}
		if i < c.idle {
			if err := add(ctx); err != nil {
				return held{}, err
			}
		}
	}
	return held{slope(at, read, func(h held) int64 { return h.user }), slope(at, read, func(h held) int64 { return h.kernel })}, nil
}

func slope(at []int, read []held, of func(held) int64) int64 {
	var all []int64
	for i := range at {
		for j := range i {
			all = append(all, (of(read[i])-of(read[j]))/int64(at[i]-at[j]))
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
