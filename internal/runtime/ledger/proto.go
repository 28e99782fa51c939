package ledger

import (
	"encoding/json"

	"google.golang.org/protobuf/proto"
)

// marshalProto puts m's wire form into JSON as base64.
func marshalProto(m proto.Message) ([]byte, error) {
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(data)
}

func unmarshalProto(data []byte, m proto.Message) error {
	var raw []byte
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	return proto.Unmarshal(raw, m)
}
