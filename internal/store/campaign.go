package store

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/raft/v3/raftpb"
)

// campaign makes a lone member leader at once instead of after an election timeout, and waits until it serves.
//
// The member is sent the message by which a leader hands over to a follower. It is ignored while entries that change the
// membership are still being applied, hence the repetition until it has led.
func campaign(ctx context.Context, member *etcdserver.EtcdServer) error {
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	self := uint64(member.MemberID())
	for member.Leader() == 0 {
		m := &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: &self, To: &self}
		if err := member.Process(ctx, m); err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-member.StoppingNotify():
			return errStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-member.ReadyNotify():
		return nil
	case <-member.StoppingNotify():
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errStopped = errors.New("etcd stopped while starting")
