package api

import "sync"

// bodies are the serializers of the shared scheme.
var bodies = sync.OnceValue(func() serializers { return newSerializers(Scheme()) })

// envelopeMagic starts every protobuf value, in etcd and on the wire.
var envelopeMagic = []byte("k8s\x00")

const (
	apiextensionsGroup   = "apiextensions.k8s.io"
	apiregistrationGroup = "apiregistration.k8s.io"
)
