package client

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// MetadataKind is a kind of which only the metadata is asked for, whatever the kind: what garbage collection needs.
func MetadataKind(gvr schema.GroupVersionResource, kind string, namespaced bool) Kind[*metav1.PartialObjectMetadata] {
	return Kind[*metav1.PartialObjectMetadata]{GroupVersion: gvr.GroupVersion(), Kind: kind, Resource: gvr.Resource, Namespaced: namespaced, metadata: true}
}

// metadataCodecs knows only the types of meta/v1, among them PartialObjectMetadata, which the built-in scheme lacks.
var metadataCodecs = func() serializer.CodecFactory {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	if err := metav1.AddMetaToScheme(s); err != nil {
		panic(err) // two types of one name: a broken build
	}
	return serializer.NewCodecFactory(s)
}()

// accept is the Accept header for the kind: its own objects, or their metadata.
func (k Kind[T]) accept(list, watch bool) string {
	as := ""
	if k.metadata {
		as = ";as=PartialObjectMetadata"
		if list {
			as += "List"
		}
		as += ";g=meta.k8s.io;v=v1"
	}
	if watch {
		return protobufType + ";stream=watch" + as
	}
	return protobufType + as + ", " + jsonType + as
}

func (k Kind[T]) decoder() runtime.Decoder {
	if k.metadata {
		return metadataCodecs.UniversalDeserializer()
	}
	return builtin().UniversalDeserializer()
}
