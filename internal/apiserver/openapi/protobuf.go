package openapi

import (
	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
)

// v2Protobuf and v3Protobuf turn a document's JSON into the protobuf form that older clients ask for. They take some
// hundred milliseconds, which is why nobody pays for them who does not ask.

func v2Protobuf(json []byte) ([]byte, error) {
	d, err := openapi_v2.ParseDocument(json)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(d)
}

func v3Protobuf(json []byte) ([]byte, error) {
	d, err := openapi_v3.ParseDocument(json)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(d)
}
