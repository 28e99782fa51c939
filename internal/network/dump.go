package network

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// Dump calls list, one of netlink's, until its answer is whole: while links and addresses come and go, as those of pods
// do, the kernel says of many a list that it is not.
func Dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 100 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}
