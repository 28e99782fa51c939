package seccomp

import "fmt"

// A ScmpCompareOp compares an argument of a call.
type ScmpCompareOp uint

// The comparisons.
const (
	CompareInvalid ScmpCompareOp = iota
	CompareNotEqual
	CompareLess
	CompareLessOrEqual
	CompareEqual
	CompareGreaterEqual
	CompareGreater
	CompareMaskedEqual // argument & Operand1 == Operand2
)

// A ScmpCondition is one comparison of a rule.
type ScmpCondition struct {
	Argument uint
	Op       ScmpCompareOp
	Operand1 uint64
	Operand2 uint64
}

// MakeCondition checks and builds a condition; values are one number, or mask and number for CompareMaskedEqual.
func MakeCondition(arg uint, op ScmpCompareOp, values ...uint64) (ScmpCondition, error) {
	c := ScmpCondition{Argument: arg, Op: op}
	switch {
	case arg > 5:
		return c, fmt.Errorf("seccomp: argument %d: a syscall has 6", arg)
	case op <= CompareInvalid || op > CompareMaskedEqual:
		return c, fmt.Errorf("seccomp: invalid comparison %d", op)
	case len(values) < 1 || len(values) > 2 || op == CompareMaskedEqual && len(values) != 2:
		return c, fmt.Errorf("seccomp: comparison with %d values", len(values))
	}
	c.Operand1 = values[0]
	if len(values) == 2 {
		c.Operand2 = values[1]
	}
	return c, nil
}
