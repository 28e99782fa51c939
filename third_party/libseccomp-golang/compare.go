package seccomp

// Jump targets inside a rule, resolved when the rule is whole. They stand in jt and jf, which a real jump inside so
// short a piece never reaches.
const (
	next = 0   // the next instruction
	pass = 254 // the end of this condition, to the next one or the action
	fail = 255 // the end of this rule
)

// code returns the action if all conditions hold and falls through to what follows if not.
func (r rule) code(short bool) []instruction {
	var conditions [][]instruction
	length := 1 // the return
	for _, c := range r.when {
		code := c.code(short)
		conditions = append(conditions, code)
		length += len(code)
	}
	var out []instruction
	for _, code := range conditions {
		end := len(out) + len(code)
		for _, in := range code {
			if in.code == opEqual || in.code == opGreater || in.code == opGreaterEq {
				at := len(out)
				in.jt, in.jf = target(in.jt, at, end, length), target(in.jf, at, end, length)
			}
			out = append(out, in)
		}
	}
	return append(out, ret(r.action))
}

func target(to uint8, at, passAt, failAt int) uint8 {
	switch to {
	case pass:
		return uint8(passAt - at - 1)
	case fail:
		return uint8(failAt - at - 1)
	}
	return to
}

// code compares an argument, two words of it or, on architectures with 32-bit arguments, the lower one.
func (c ScmpCondition) code(short bool) []instruction {
	low := offArgs + 8*uint32(c.Argument) // little-endian, as all supported architectures are
	if c.Op == CompareMaskedEqual {
		return c.masked(low, short)
	}
	h, l := uint32(c.Operand1>>32), uint32(c.Operand1)
	var out []instruction
	load := func(off uint32) { out = append(out, instruction{code: opLoad, k: off}) }
	jump := func(op uint16, k uint32, yes, no uint8) { out = append(out, instruction{op, yes, no, k}) }
	// The upper word decides unless it is equal.
	if !short {
		load(low + 4)
		switch c.Op {
		case CompareEqual:
			jump(opEqual, h, next, fail)
		case CompareNotEqual:
			jump(opEqual, h, next, pass)
		case CompareGreater, CompareGreaterEqual:
			jump(opGreater, h, pass, next)
			jump(opEqual, h, next, fail)
		case CompareLess, CompareLessOrEqual:
			jump(opGreater, h, fail, next)
			jump(opEqual, h, next, pass)
		}
	}
	load(low)
	switch c.Op {
	case CompareEqual:
		jump(opEqual, l, pass, fail)
	case CompareNotEqual:
		jump(opEqual, l, fail, pass)
	case CompareGreater:
		jump(opGreater, l, pass, fail)
	case CompareGreaterEqual:
		jump(opGreaterEq, l, pass, fail)
	case CompareLess:
		jump(opGreaterEq, l, fail, pass)
	case CompareLessOrEqual:
		jump(opGreater, l, fail, pass)
	}
	return out
}

func (c ScmpCondition) masked(low uint32, short bool) []instruction {
	var out []instruction
	word := func(off, mask, value uint32, yes uint8) {
		out = append(out, instruction{code: opLoad, k: off}, instruction{code: opAnd, k: mask},
			instruction{opEqual, yes, fail, value & mask})
	}
	if !short {
		word(low+4, uint32(c.Operand1>>32), uint32(c.Operand2>>32), next)
	}
	word(low, uint32(c.Operand1), uint32(c.Operand2), pass)
	return out
}
