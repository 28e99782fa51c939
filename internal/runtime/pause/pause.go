// Package pause makes the smallest possible init: a program that lets the kernel reap its orphans and waits for ever.
//
// The runtime puts it at pid 1 of a pid namespace that containers share. It is given as machine code in an ELF file of
// some 200 bytes, because it must need nothing from the container and must not cost the megabyte of a Go program.
// Program has no state and is safe for concurrent use.
package pause

import (
	"bytes"
	"encoding/binary"
)

// base is where the program is loaded, head the size of the two ELF headers before its code.
const (
	base = 0x400000
	head = 64 + 56
)

// Program returns the executable file for the architecture that this program runs on.
func Program() []byte { return elf(machine, code) }

// elf puts code into a static executable with one readable and executable segment.
func elf(machine uint16, code []byte) []byte {
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	size := uint64(head + len(code))
	for _, v := range []any{
		uint16(2), machine, uint32(1), uint64(base + head), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0), // end of the file header
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000),
	} {
		binary.Write(&b, binary.LittleEndian, v) // into memory: cannot fail
	}
	b.Write(code)
	return b.Bytes()
}
