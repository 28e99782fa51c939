// Package transcode renders stored protobuf messages as the JSON that encoding/json gives for the decoded object, byte for
// byte, without decoding: a Plan is made of a kind's Go type once, from the protobuf and JSON tags of its fields.
//
// It knows the form that Go types of the API are written in: fields in order of their numbers, each once, map keys sorted.
// Anything else (unknown fields, another writer's order, a type with an encoding of its own that has no rule here) is
// ErrUnusual, and the caller decodes. The API server is the only caller. A Plan is immutable and safe for concurrent use.
// The tests compare with decoding and encoding, for random objects of every kind.
package transcode
