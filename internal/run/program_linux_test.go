package run

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestConstantMappings(t *testing.T) {
	const smaps = `00400000-0219f000 r-xp 00000000 fe:00 42                         /opt/my program
Size:              30332 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
0219f000-04dff000 r--p 01d9f000 fe:00 42                         /opt/my program
Anonymous:             0 kB
04dff000-04e00000 r--p 049ff000 fe:00 42                         /opt/my program
Anonymous:             4 kB
04e00000-04eca000 rw-p 049ff000 fe:00 42                         /opt/my program
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 43                 /lib/other
Anonymous:             0 kB
7f0000001000-7f0000002000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0                  [vdso]
Anonymous:             0 kB
`
	got := constantMappings(strings.NewReader(smaps), "/opt/my program")
	if want := []mapping{{0x400000, 0x219f000}, {0x219f000, 0x4dff000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestForget: the program runs on, also through code and constants that it has just forgotten.
func TestForget(t *testing.T) {
	program := cutProgram()
	if len(program) == 0 {
		t.Error("the program is mapped nowhere")
	}
	for range 3 {
		if err := forget(program); err != nil {
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
