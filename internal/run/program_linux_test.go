package run

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestConstantMappings(t *testing.T) {
	const maps = `00400000-0219f000 r-xp 00000000 fe:00 42 /opt/my program
0219f000-04dff000 r--p 01d9f000 fe:00 42 /opt/my program
04dff000-04eca000 rw-p 049ff000 fe:00 42 /opt/my program
7f0000000000-7f0000001000 r--p 00000000 fe:00 43 /lib/other
7f0000001000-7f0000002000 r--p 00000000 00:00 0
7f0000002000-7f0000003000 r-xp 00000000 00:00 0 [vdso]
`
	got := constantMappings(strings.NewReader(maps), "/opt/my program")
	if want := []mapping{{0x400000, 0x219f000}, {0x219f000, 0x4dff000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestForgetProgram: the program runs on, also through code and constants that it has just forgotten.
func TestForgetProgram(t *testing.T) {
	for range 3 {
		if err := forgetProgram(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Repeat("constant", 2); got != "constantconstant" {
			t.Fatal(got)
		}
	}
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Error(err)
	}
}
