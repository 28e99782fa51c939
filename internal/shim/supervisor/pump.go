package supervisor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// The pump is the one goroutine that waits for the kernel: output of containers, ends of processes, memory events, the
// keeper. Its sources are functions called without locks; those that touch streams take mu.
type pump struct {
	mu   sync.Mutex
	ep   int
	stop int // eventfd

	sourcesMu sync.Mutex
	sources   map[int32]func(events uint32)
	next      int32
}

func newPump() (*pump, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &pump{ep: ep, stop: stop, sources: map[int32]func(uint32){}}
	_, err = p.add(stop, unix.EPOLLIN, func(uint32) {})
	return p, err
}

// add calls f whenever fd has one of events (or an error or hang-up), until remove.
func (p *pump) add(fd int, events uint32, f func(events uint32)) (token int32, err error) {
	p.sourcesMu.Lock()
	p.next++
	token = p.next
	p.sources[token] = f
	p.sourcesMu.Unlock()
	ev := unix.EpollEvent{Events: events, Fd: token}
	if err := unix.EpollCtl(p.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		p.forget(token)
		return 0, fmt.Errorf("watch descriptor: %w", err)
	}
	return token, nil
}

// remove ends add; a call of f may still be under way. fd must still be open.
func (p *pump) remove(fd int, token int32) {
	_ = unix.EpollCtl(p.ep, unix.EPOLL_CTL_DEL, fd, nil)
	p.forget(token)
}

func (p *pump) forget(token int32) {
	p.sourcesMu.Lock()
	defer p.sourcesMu.Unlock()
	delete(p.sources, token)
}

func (p *pump) run(ctx context.Context) error {
	unhook := context.AfterFunc(ctx, func() { _, _ = unix.Write(p.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer unhook()
	events := make([]unix.EpollEvent, 64)
	for ctx.Err() == nil {
		runtime.Gosched() // whom the last events woke must not wait until the scheduler sees that we are in the kernel
		n, err := unix.EpollWait(p.ep, events, -1)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, ev := range events[:max(n, 0)] {
			p.sourcesMu.Lock()
			f := p.sources[ev.Fd]
			p.sourcesMu.Unlock()
			if f != nil {
				f(ev.Events)
			}
		}
	}
	return ctx.Err()
}
