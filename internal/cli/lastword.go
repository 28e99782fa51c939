package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// lastWord is where the program's log goes. What cannot be written there, because the log is on the disk that has failed or
// is full, goes to the kernel's log, errors only: what ends the program must not end it in silence.
type lastWord struct {
	log    io.Writer
	kernel func() (io.WriteCloser, error)
}

func newLastWord(log io.Writer) *lastWord {
	return &lastWord{log: log, kernel: func() (io.WriteCloser, error) { return os.OpenFile("/dev/kmsg", os.O_WRONLY, 0) }}
}

// mostKernel is what the kernel takes of one message.
const mostKernel = 900

func (l *lastWord) Write(line []byte) (int, error) {
	n, err := l.log.Write(line)
	if err == nil || !bytes.Contains(line, []byte("level=ERROR")) {
		return n, err
	}
	k, kernelErr := l.kernel()
	if kernelErr != nil {
		return n, err
	}
	defer k.Close()
	text := bytes.TrimSpace(line)
	// Nobody is left to be told when this fails too.
	_, _ = fmt.Fprintf(k, "<3>%s[%d]: log: %v: %s\n", filepath.Base(os.Args[0]), os.Getpid(), err, text[:min(len(text), mostKernel)])
	return n, err
}
