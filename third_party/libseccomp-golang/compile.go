package seccomp

import (
	"cmp"
	"math"
	"slices"
)

// An instruction is one of classic BPF.
type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// The few opcodes that are needed.
const (
	opLoad      = 0x20 // A = data[k]
	opAnd       = 0x54 // A &= k
	opJump      = 0x05 // pc += k
	opEqual     = 0x15 // A == k
	opGreater   = 0x25 // A > k
	opGreaterEq = 0x35 // A >= k
	opReturn    = 0x06
)

// Offsets in struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

const x32Bit = 1 << 30

// auditArch is the value of seccomp_data.arch.
func auditArch(a ScmpArch) uint32 {
	switch a {
	case ArchX86:
		return 0x40000003
	case ArchAMD64, ArchX32:
		return 0xc000003e
	case ArchARM:
		return 0x40000028
	case ArchARM64:
		return 0xc00000b7
	}
	return 0
}

// A span is a range of numbers, from first to the next span's, with one meaning.
type span struct {
	first uint32
	code  []instruction // judges the call; A holds its number
	plain bool          // code is a single return
}

// compile returns the whole program: find the architecture, then the number, then compare arguments.
func (f *ScmpFilter) compile() []instruction {
	sections := map[uint32][]instruction{}
	var order []uint32
	for _, a := range f.archs {
		id := auditArch(a)
		if _, done := sections[id]; !done {
			sections[id] = append([]instruction{{code: opLoad, k: offNumber}}, search(f.spans(id))...)
			order = append(order, id)
		}
	}
	program := []instruction{{code: opLoad, k: offArch}}
	for _, id := range order {
		s := sections[id]
		program = append(program, branch(opEqual, id, false, len(s))...)
		program = append(program, s...)
	}
	return append(program, ret(ActKillThread))
}

// branch skips n instructions where the comparison's outcome is skipIf, and goes on to the next one otherwise.
func branch(op uint16, k uint32, skipIf bool, n int) []instruction {
	near := instruction{code: op, k: k}
	if n <= math.MaxUint8 {
		if skipIf {
			near.jt = uint8(n)
		} else {
			near.jf = uint8(n)
		}
		return []instruction{near}
	}
	if skipIf {
		near.jf = 1
	} else {
		near.jt = 1
	}
	return []instruction{near, {code: opJump, k: uint32(n)}}
}

func ret(a ScmpAction) instruction { return instruction{code: opReturn, k: uint32(a)} }

// search is a balanced tree of comparisons over the spans, which cover all numbers in order.
func search(spans []span) []instruction {
	if code, ok := block(spans); ok {
		return code
	}
	mid := len(spans) / 2
	low, high := search(spans[:mid]), search(spans[mid:])
	code := branch(opGreaterEq, spans[mid].first, true, len(low))
	return append(append(code, low...), high...)
}

// A tree is a block's code while it is written: spans that mean one action jump to the block's one return of that.
type tree struct {
	code    []instruction
	actions []instruction
	jumps   []jump
}

// A jump is the outcome of a comparison that ends at an action.
type jump struct {
	at, action int
	greaterEq  bool
}

// block is search where every part is near enough for a comparison to reach.
func block(spans []span) ([]instruction, bool) {
	if len(spans) == 1 {
		return spans[0].code, true
	}
	t := &tree{}
	if !t.grow(spans) {
		return nil, false
	}
	end := len(t.code)
	for _, j := range t.jumps {
		n := end + j.action - j.at - 1
		if n > math.MaxUint8 {
			return nil, false
		}
		if in := &t.code[j.at]; j.greaterEq {
			in.jt = uint8(n)
		} else {
			in.jf = uint8(n)
		}
	}
	return append(t.code, t.actions...), true
}

// grow adds a comparison, then what is below it, then what is above it.
func (t *tree) grow(spans []span) bool {
	if len(spans) == 1 {
		t.code = append(t.code, spans[0].code...)
		return true
	}
	at, mid := len(t.code), len(spans)/2
	t.code = append(t.code, instruction{code: opGreaterEq, k: spans[mid].first})
	if !t.leaf(at, spans[:mid], false) && !t.grow(spans[:mid]) {
		return false
	}
	if t.leaf(at, spans[mid:], true) {
		return true
	}
	n := len(t.code) - at - 1
	if n > math.MaxUint8 {
		return false
	}
	t.code[at].jt = uint8(n)
	return t.grow(spans[mid:])
}

// leaf notes a jump to an action where the spans are one that means that.
func (t *tree) leaf(at int, spans []span, greaterEq bool) bool {
	if len(spans) > 1 || !spans[0].plain {
		return false
	}
	action := slices.Index(t.actions, spans[0].code[0])
	if action < 0 {
		action = len(t.actions)
		t.actions = append(t.actions, spans[0].code[0])
	}
	t.jumps = append(t.jumps, jump{at, action, greaterEq})
	return true
}

// spans lists the meanings of all numbers on the architectures of one audit value.
func (f *ScmpFilter) spans(id uint32) []span {
	otherwise := span{code: []instruction{ret(f.fallback)}, plain: true}
	bad := span{code: []instruction{ret(ActKillThread)}, plain: true}
	var out []span
	add := func(first uint32, s span) {
		s.first = first
		if last := len(out) - 1; last >= 0 && out[last].first == first {
			out[last] = s // a gap of no width
		} else {
			out = append(out, s)
		}
	}
	covered := func(a ScmpArch) span {
		if slices.Contains(f.archs, a) {
			return otherwise
		}
		return bad
	}
	low, high := ArchAMD64, ArchX32
	if id != auditArch(ArchAMD64) {
		low, high = f.archOf(id), f.archOf(id)
	}
	add(0, covered(low))
	for _, n := range f.numbers(low) {
		add(n.number, n.span)
		add(n.number+1, otherwise)
	}
	if low != high {
		add(x32Bit, covered(high))
		for _, n := range f.numbers(high) {
			add(n.number, n.span)
			add(n.number+1, otherwise)
		}
	}
	return join(out)
}

func (f *ScmpFilter) archOf(id uint32) ScmpArch {
	for _, a := range f.archs {
		if auditArch(a) == id {
			return a
		}
	}
	return ArchInvalid
}

// join merges neighbours that mean the same.
func join(in []span) []span {
	out := in[:1]
	for _, s := range in[1:] {
		if last := out[len(out)-1]; s.plain && last.plain && s.code[0] == last.code[0] {
			continue
		}
		out = append(out, s)
	}
	return out
}

// A numbered is the meaning of one number.
type numbered struct {
	number uint32
	span
}

// numbers lists the calls of an architecture that have rules, in ascending order.
func (f *ScmpFilter) numbers(a ScmpArch) []numbered {
	if !slices.Contains(f.archs, a) {
		return nil
	}
	col, short := a.column(), a != ArchAMD64 && a != ArchARM64
	var out []numbered
	for i, rules := range f.rules {
		if n := calls[i].number[col]; n >= 0 {
			out = append(out, numbered{uint32(n), f.judge(rules, short)})
		}
	}
	if a == ArchX86 {
		out = f.multiplexed(out)
	}
	slices.SortFunc(out, func(x, y numbered) int {
		if x.number != y.number {
			return cmp.Compare(x.number, y.number)
		}
		return len(x.code) - len(y.code)
	})
	// Two names of one number: the one with the smaller program, an unconditional action, stands for both.
	return slices.CompactFunc(out, func(x, y numbered) bool { return x.number == y.number })
}

// judge is the code for a call that has rules.
func (f *ScmpFilter) judge(rules []rule, short bool) span {
	if len(rules) == 1 && len(rules[0].when) == 0 {
		return span{code: []instruction{ret(rules[0].action)}, plain: true}
	}
	var code []instruction
	for _, r := range rules {
		code = append(code, r.code(short)...)
	}
	return span{code: append(code, ret(f.fallback))}
}
