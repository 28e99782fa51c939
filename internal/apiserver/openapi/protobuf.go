package openapi

import (
	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
)

// v2Protobuf and v3Protobuf turn a document's JSON into the protobuf form that older clients ask for, byte for byte what
// the library's ParseDocument makes of it. They take some hundred milliseconds, which is why nobody pays for them who
// does not ask.

func v2Protobuf(json []byte) ([]byte, error) {
	return toProtobuf(json, &openapi_v2.Document{})
}

func v3Protobuf(json []byte) ([]byte, error) {
	return toProtobuf(json, &openapi_v3.Document{})
}

func toProtobuf(json []byte, document proto.Message) ([]byte, error) {
	tree, err := treeOf(json)
	if err != nil {
		return nil, err
	}
	if err := fill(document.ProtoReflect(), tree); err != nil {
		return nil, err
	}
	return proto.Marshal(document)
}
