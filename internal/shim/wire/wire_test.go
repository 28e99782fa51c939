package wire

import (
	"encoding/binary"
	"io"
	"os"
	"strings"
	"testing"
)

func pair(t testing.TB) (a, b Conn) {
	t.Helper()
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestSendAndRecv(t *testing.T) {
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := strings.Repeat("long ", 100_000)
	sent := make(chan error, 1)
	go func() {
		sent <- a.Send(Call{Op: "x", ID: text}, w, w)
		w.Close()
		a.Close()
	}()
	var got Call
	files, err := b.Recv(&got)
	if err != nil || got.ID != text || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, err := files[1].WriteString("through"); err != nil {
		t.Fatal(err)
	}
	CloseAll(files)
	if back, _ := io.ReadAll(r); string(back) != "through" {
		t.Errorf("%q", back)
	}
	if _, err := b.Recv(&got); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// FuzzRecv: whatever comes, Recv answers with a message or an error.
func FuzzRecv(f *testing.F) {
	f.Add(append(binary.BigEndian.AppendUint32(nil, 2), "{}"...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		a, b := pair(t)
		if _, err := a.Write(data); err != nil {
			t.Fatal(err)
		}
		a.Close()
		var c Call
		for {
			if _, err := b.Recv(&c); err != nil {
				return
			}
		}
	})
}
