package store

import (
	"context"
	"errors"
	"expvar"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// starts takes turns: etcd publishes the state of raft for one member of a process only, the last one made.
var starts sync.Mutex

// campaign makes a lone member leader at once instead of after an election timeout.
//
// The member is sent the message by which a leader hands over to a follower. Not before raft has applied all that it
// knows to be committed: an election before that reads log entries that may be gone, and raft panics.
func campaign(ctx context.Context, member *etcdserver.EtcdServer) error {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	self := uint64(member.MemberID())
	for member.Leader() == 0 {
		if st, ok := raftState(self); ok && st.Applied > 0 && st.Applied == st.HardState.GetCommit() {
			m := &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: &self, To: &self}
			if err := member.Process(ctx, m); err != nil {
				return err
			}
		}
		select {
		case <-again.C:
		case <-member.StoppingNotify():
			return errStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// raftState is what etcd publishes of the member's raft node. Without it (another etcd in this process was made later)
// the member is elected when its clock ticks.
func raftState(self uint64) (raft.BasicStatus, bool) {
	v, ok := expvar.Get("raft.status").(expvar.Func)
	if !ok {
		return raft.BasicStatus{}, false
	}
	st, ok := v.Value().(raft.Status)
	return st.BasicStatus, ok && st.ID == self
}

// serving waits until the member has published itself.
func serving(ctx context.Context, member *etcdserver.EtcdServer) error {
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
