package seccomp

import "slices"

// multiplexers are the two calls of 32-bit x86 whose first argument says which call is meant.
var multiplexers = []struct {
	name string
	mask uint64 // the bits of the argument that say it
	sub  map[string]uint64
}{
	{"socketcall", 0xffffffff, map[string]uint64{
		"socket": 1, "bind": 2, "connect": 3, "listen": 4, "accept": 5, "getsockname": 6, "getpeername": 7,
		"socketpair": 8, "send": 9, "recv": 10, "sendto": 11, "recvfrom": 12, "shutdown": 13, "setsockopt": 14,
		"getsockopt": 15, "sendmsg": 16, "recvmsg": 17, "accept4": 18, "recvmmsg": 19, "sendmmsg": 20,
	}},
	{"ipc", 0xffff, map[string]uint64{
		"semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
		"shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
	}},
}

// multiplexed adds, for a multiplexer without an unconditional rule of its own, the unconditional rules of the calls
// behind it.
func (f *ScmpFilter) multiplexed(out []numbered) []numbered {
	for _, m := range multiplexers {
		i, ok := index(m.name)
		if !ok {
			continue
		}
		rules := slices.Clone(f.rules[i])
		if len(rules) == 1 && len(rules[0].when) == 0 {
			continue
		}
		for j := range calls {
			r, sub := f.rules[j], m.sub[calls[j].name]
			if sub != 0 && len(r) == 1 && len(r[0].when) == 0 {
				rules = append(rules, rule{r[0].action, []ScmpCondition{{Op: CompareMaskedEqual, Operand1: m.mask, Operand2: sub}}})
			}
		}
		number := uint32(calls[i].number[ArchX86.column()])
		out = slices.DeleteFunc(out, func(n numbered) bool { return n.number == number })
		if len(rules) > 0 {
			out = append(out, numbered{number, f.judge(rules, true)})
		}
	}
	return out
}
