package h2

import (
	"encoding/binary"
	"fmt"
)

// Frame types and flags of RFC 9113.
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameReset        = 3
	frameSettings     = 4
	framePush         = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Settings of RFC 9113.
const (
	settingTable   = 1
	settingPush    = 2
	settingStreams = 3
	settingWindow  = 4
	settingFrame   = 5
	settingHeaders = 6
)

const (
	headSize      = 9
	leastFrame    = 16 << 10 // every peer takes it, and we take no larger
	largestFrame  = 1<<24 - 1
	largestWindow = 1<<31 - 1
	firstWindow   = 1<<16 - 1
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// A code is why a stream or a connection ends.
type code uint32

const (
	noError            code = 0x0
	protocolError      code = 0x1
	internalError      code = 0x2
	flowControlError   code = 0x3
	streamClosed       code = 0x5
	frameSizeError     code = 0x6
	refusedStream      code = 0x7
	compressionError   code = 0x9
	enhanceYourCalm    code = 0xb
	inadequateSecurity code = 0xc
)

// connError ends the connection.
type connError struct {
	code   code
	reason string
}

func (e connError) Error() string {
	return fmt.Sprintf("connection error %#x: %s", uint32(e.code), e.reason)
}

// streamError ends one stream.
type streamError struct {
	stream uint32
	code   code
	reason string
}

func (e streamError) Error() string {
	return fmt.Sprintf("stream %d: error %#x: %s", e.stream, uint32(e.code), e.reason)
}

// head is what every frame begins with.
type head struct {
	length      int
	kind, flags byte
	stream      uint32
}

func (h head) has(flag byte) bool { return h.flags&flag != 0 }

func parseHead(b []byte) head {
	return head{int(b[0])<<16 | int(b[1])<<8 | int(b[2]), b[3], b[4], binary.BigEndian.Uint32(b[5:]) & (1<<31 - 1)}
}

func appendHead(b []byte, length int, kind, flags byte, stream uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags, byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendReset(b []byte, stream uint32, c code) []byte {
	return binary.BigEndian.AppendUint32(appendHead(b, 4, frameReset, 0, stream), uint32(c))
}

func appendWindow(b []byte, stream uint32, more int) []byte {
	return binary.BigEndian.AppendUint32(appendHead(b, 4, frameWindow, 0, stream), uint32(more))
}

func appendGoAway(b []byte, last uint32, c code, why string) []byte {
	b = appendHead(b, 8+len(why), frameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	return append(binary.BigEndian.AppendUint32(b, uint32(c)), why...)
}

func appendPong(b []byte, data []byte) []byte {
	return append(appendHead(b, len(data), framePing, flagAck, 0), data...)
}

// appendSettings takes pairs of identifier and value.
func appendSettings(b []byte, pairs ...uint32) []byte {
	b = appendHead(b, len(pairs)/2*6, frameSettings, 0, 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		b = binary.BigEndian.AppendUint16(b, uint16(pairs[i]))
		b = binary.BigEndian.AppendUint32(b, pairs[i+1])
	}
	return b
}

// unpad cuts the padding off a DATA or HEADERS payload.
func unpad(h head, p []byte) ([]byte, error) {
	if !h.has(flagPadded) {
		return p, nil
	}
	if len(p) == 0 || int(p[0]) >= len(p) {
		return nil, connError{protocolError, "padding longer than the frame"}
	}
	return p[1 : len(p)-int(p[0])], nil
}
