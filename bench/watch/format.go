package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// format is one way in which events arrive.
type format struct {
	name, accept string
	// cut takes the first event off b; ok is false where it is not whole yet.
	cut func(b []byte) (event, rest []byte, ok bool)
	// version reads the resourceVersion of an event's ConfigMap. It is asked only where a watch has to go on.
	version func(event []byte) (string, error)
}

var (
	inProtobuf = format{"protobuf", "application/vnd.kubernetes.protobuf;stream=watch", cutLength, protobufVersion}
	inJSON     = format{"JSON", "application/json", cutLine, jsonVersion}
)

func cutLine(b []byte) (event, rest []byte, ok bool) { return bytes.Cut(b, []byte("\n")) }

func cutLength(b []byte) (event, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint32(b))
	if len(b) < 4+n {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

func jsonVersion(event []byte) (string, error) {
	var e struct{ Object metav1.PartialObjectMetadata }
	if err := json.Unmarshal(event, &e); err != nil {
		return "", err
	}
	return e.Object.ResourceVersion, nil
}

func protobufVersion(event []byte) (string, error) {
	var e metav1.WatchEvent
	if err := e.Unmarshal(event); err != nil {
		return "", err
	}
	const magic = 4 // bytes before the envelope
	if len(e.Object.Raw) < magic {
		return "", fmt.Errorf("an event of %d bytes", len(event))
	}
	var u runtime.Unknown
	if err := u.Unmarshal(e.Object.Raw[magic:]); err != nil {
		return "", err
	}
	var m corev1.ConfigMap
	err := m.Unmarshal(u.Raw)
	return m.ResourceVersion, err
}
