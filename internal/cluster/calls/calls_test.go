package calls

import (
	"bytes"
	"os"
	"testing"
)

// TestOneTarget has two calls of one function from two places: distances differ, positions do not.
func TestOneTarget(t *testing.T) {
	program := append(bytes.Repeat([]byte{0x90}, 8), 0xe8, 3, 0, 0, 0, 0xe8, 0xfe, 0xff, 0xff, 0xff)
	Absolute(program)
	if want := append(bytes.Repeat([]byte{0x90}, 8), 0xe8, 11, 0, 0, 0, 0xe8, 11, 0, 0, 0); !bytes.Equal(program, want) {
		t.Errorf("got % x, want % x", program, want)
	}
}

// TestProgram is a whole one: this test.
func TestProgram(t *testing.T) {
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, b)
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{0xe8, 0, 0, 0, 0, 0xe8, 0xe8, 0xe8, 0xe8, 0xe8, 0xe8})
	f.Add([]byte{0x90, 0xe8, 0xff, 0xff, 0xff, 0xff, 0xe8, 7, 0, 0, 0, 0xe8, 0xf9, 0xff, 0xff, 0xff, 0xe8, 1})
	f.Fuzz(roundTrip)
}

func roundTrip(t *testing.T, program []byte) {
	got := bytes.Clone(program)
	Absolute(got)
	Relative(got)
	if !bytes.Equal(got, program) {
		t.Errorf("% x came back as % x", program[:min(len(program), 99)], got[:min(len(got), 99)])
	}
}
