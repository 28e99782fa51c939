package api

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// A wireMap tells where in a kind's protobuf message its selectable fields are, by the field numbers of upstream's
// generated.proto files. These never change: stored data depends on them.
type wireMap struct {
	leaves []wireLeaf
	// finish derives what is not a plain field.
	finish func(map[string]string)
}

// wireLeaf is one selectable field at a path of field numbers; of a repeated message on the way the first counts.
type wireLeaf struct {
	name string
	kind wireKind
	path []int
}

type wireKind int

const (
	wireText wireKind = iota
	wireBool
	wireInt
	wireFirstText // of a repeated message
)

func text(name string, path ...int) wireLeaf      { return wireLeaf{name, wireText, path} }
func boolean(name string, path ...int) wireLeaf   { return wireLeaf{name, wireBool, path} }
func integer(name string, path ...int) wireLeaf   { return wireLeaf{name, wireInt, path} }
func firstText(name string, path ...int) wireLeaf { return wireLeaf{name, wireFirstText, path} }

// zero are the values of fields that the message leaves out.
func (w *wireMap) zero() map[string]string {
	m := make(map[string]string, len(w.leaves)+1)
	for _, l := range w.leaves {
		switch l.kind {
		case wireBool:
			m[l.name] = "false"
		case wireInt:
			m[l.name] = "0"
		default:
			m[l.name] = ""
		}
	}
	return m
}

// read takes one field of the object's message.
func (w *wireMap) read(num int, v wireValue, into map[string]string) error {
	if w == nil {
		return nil
	}
	return readLeaves(w.leaves, 0, num, v, into)
}

// readLeaves looks which leaves go through field num at this depth, and descends for those that lie deeper.
func readLeaves(leaves []wireLeaf, depth, num int, v wireValue, into map[string]string) error {
	deeper := false
	for i := range leaves {
		l := &leaves[i]
		if depth >= len(l.path) || l.path[depth] != num {
			continue
		}
		if depth == len(l.path)-1 {
			l.set(v, into)
		} else {
			deeper = true
		}
	}
	if !deeper {
		return nil
	}
	var below []wireLeaf
	for _, l := range leaves {
		if depth < len(l.path)-1 && l.path[depth] == num {
			below = append(below, l)
		}
	}
	return eachField(v.bytes, func(num int, v wireValue) error { return readLeaves(below, depth+1, num, v, into) })
}

func (l *wireLeaf) set(v wireValue, into map[string]string) {
	switch l.kind {
	case wireBool:
		into[l.name] = strconv.FormatBool(v.number != 0)
	case wireInt:
		into[l.name] = strconv.FormatInt(int64(int32(v.number)), 10)
	case wireFirstText:
		if into[l.name] == "" {
			into[l.name] = string(v.bytes)
		}
	default:
		into[l.name] = string(v.bytes)
	}
}

// wireValue is the value of one field: bytes of a message or string, or a number.
type wireValue struct {
	bytes  []byte
	number uint64
}

var errWire = errors.New("malformed protobuf")

// eachField calls f for each field of a message, in order. It returns f's error, or errWire.
func eachField(msg []byte, f func(num int, v wireValue) error) error {
	for len(msg) > 0 {
		key, n := binary.Uvarint(msg)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errWire
		}
		msg = msg[n:]
		var v wireValue
		var size int
		switch key & 7 {
		case 0:
			v.number, size = binary.Uvarint(msg)
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			length, n := binary.Uvarint(msg)
			if n <= 0 || length > uint64(len(msg)-n) {
				return errWire
			}
			v.bytes, size = msg[n:n+int(length)], n+int(length)
		}
		if size <= 0 || size > len(msg) {
			return errWire
		}
		if err := f(int(key>>3), v); err != nil {
			return err
		}
		msg = msg[size:]
	}
	return nil
}
