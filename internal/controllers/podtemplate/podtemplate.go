// Package podtemplate names pod templates as upstream's controllers do.
//
// The controllers of Deployments and DaemonSets use it for the names of ReplicaSets and ControllerRevisions: who takes a
// cluster over from the other finds the names that it would choose itself. It holds nothing.
package podtemplate

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/dump"
)

// Hash is that of the template's text, as upstream dumps it, and of the collision count where there is one.
func Hash(t *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	h.Write([]byte(dump.ForHash(*t)))
	if collisions != nil {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(uint32(*collisions))))
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}
