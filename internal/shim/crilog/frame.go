package crilog

import (
	"bytes"
	"time"
)

// MaxLine is the longest content of one log line; longer ones are cut into lines tagged P and a last one tagged F.
const MaxLine = 16 << 10

// stampLayout has a fixed width, so that writing a line again after a crash takes the same room.
const stampLayout = "2006-01-02T15:04:05.000000000Z07:00"

// framer turns a byte stream into CRI log lines "<time> <stream> <P|F> <content>\n".
type framer struct {
	full, part []byte // prefixes of a whole and of a partial line
}

func newFramer(now time.Time, stream string) framer {
	head := append(now.UTC().AppendFormat(nil, stampLayout), " "+stream+" "...)
	return framer{
		full: append(append([]byte{}, head...), "F "...),
		part: append(append([]byte{}, head...), "P "...),
	}
}

// frame hands every finished line of pending+data to emit in up to four pieces and returns what remains unfinished, at
// most MaxLine bytes. pending must be at most MaxLine bytes. With end the remainder is emitted as a partial line.
func (f framer) frame(pending, data []byte, end bool, emit func(pieces ...[]byte)) (rest1, rest2 []byte) {
	for {
		i := bytes.IndexByte(data, '\n')
		line := data
		if i >= 0 {
			line = data[:i]
		}
		for len(pending)+len(line) > MaxLine {
			n := MaxLine - len(pending)
			emit(f.part, pending, line[:n], newline)
			pending, line, data = nil, line[n:], data[n:]
			if i >= 0 {
				i -= n
			}
		}
		if i < 0 {
			break
		}
		emit(f.full, pending, line, newline)
		pending, data = nil, data[i+1:]
	}
	if end && len(pending)+len(data) > 0 {
		emit(f.part, pending, data, newline)
		return nil, nil
	}
	return pending, data
}

var newline = []byte{'\n'}
