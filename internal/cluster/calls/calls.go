// Package calls prepares programs for compression. A call in x86 code names its target by the distance to it, so ten calls
// of one function are ten different numbers; as positions in the file they are one number ten times. A packed program of
// Go is smaller by 5 % for it. internal/cluster/pack does it before it compresses, package cluster undoes it after it
// has decompressed. Both work in place, on any bytes: whatever looks like a call is changed, and changed back. They keep
// nothing, so they are safe from anywhere; the test is a round trip, and fuzzed.
package calls

import (
	"bytes"
	"encoding/binary"
)

const (
	call    = 0xe8 // the instruction: this byte, and where to in the next four
	operand = 4
)

// Absolute turns the distances of calls in program to positions.
func Absolute(program []byte) {
	size := int64(len(program))
	each(program, func(at, distance int64) int64 {
		switch {
		case distance < -at || distance >= size:
			return distance // no call into this file
		case distance < size-at:
			return at + distance
		default: // behind the file's end: takes the numbers that no position has
			return distance - size
		}
	})
}

// Relative undoes Absolute.
func Relative(program []byte) {
	size := int64(len(program))
	each(program, func(at, position int64) int64 {
		switch {
		case position < -at || position >= size:
			return position
		case position >= 0:
			return position - at
		default:
			return position + size
		}
	})
}

// each replaces the operand of every call. An operand is never looked at for calls, so that the same ones are found
// whatever stands in them.
func each(program []byte, other func(at, operand int64) int64) {
	for at := 0; ; {
		i := bytes.IndexByte(program[at:], call)
		if i < 0 || at+i+1+operand > len(program) {
			return
		}
		at += i
		where := program[at+1 : at+1+operand]
		now := int64(int32(binary.LittleEndian.Uint32(where)))
		binary.LittleEndian.PutUint32(where, uint32(other(int64(at), now)))
		at += 1 + operand
	}
}
