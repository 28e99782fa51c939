package openapi

import (
	"bytes"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
)

// libraryV2 and libraryV3 are what the library's own parsers say.
func libraryV2(json []byte) ([]byte, error) {
	d, err := openapi_v2.ParseDocument(json)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(d)
}

func libraryV3(json []byte) ([]byte, error) {
	d, err := openapi_v3.ParseDocument(json)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(d)
}

func TestProtobufIsTheLibrarys(t *testing.T) {
	h := handler(t, nil)
	same := func(name string, ours, theirs func([]byte) ([]byte, error), json []byte) {
		want, err := theirs(json)
		if err != nil {
			t.Fatalf("%s: the library: %v", name, err)
		}
		if got, err := ours(json); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d (%v)", name, len(got), len(want), err)
		}
	}
	same("v2", v2Protobuf, libraryV2, get(t, h, "/openapi/v2").Body.Bytes())
	for path := range h.v3 {
		same(path, v3Protobuf, libraryV3, get(t, h, "/openapi/v3/"+path).Body.Bytes())
	}
	for name, json := range v2Rarities {
		same(name, v2Protobuf, libraryV2, []byte(`{"swagger":"2.0","info":{"title":"t","version":"1"},"paths":{},`+json+`}`))
	}
	for name, json := range v3Rarities {
		same(name, v3Protobuf, libraryV3, []byte(`{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{},`+json+`}`))
	}
}

// What custom resources' schemas and hand-made documents hold, and the built-in documents do not.
var (
	v2Rarities = map[string]string{
		"security":   `"securityDefinitions":{"a":{"type":"basic"},"b":{"type":"oauth2","flow":"implicit","authorizationUrl":"u","scopes":{"s":"d"}},"c":{"type":"apiKey","name":"n","in":"query"}}`,
		"parameters": `"parameters":{"a":{"in":"formData","name":"n","type":"string"},"b":{"in":"header","name":"n","type":"integer","maximum":1.5},"c":{"in":"body","name":"b","schema":{"type":"object"}}}`,
		"file":       `"responses":{"r":{"description":"d","schema":{"type":"file"},"headers":{"h":{"type":"string","enum":["a","b"]}},"examples":{"text/plain":"x"}}}`,
		"schemas":    `"definitions":{"d":{"type":["string","null"],"items":{"$ref":"#/x"},"additionalProperties":false,"allOf":[{"type":"object"}],"default":{"a":[1,2]},"enum":[1,"two",null],"x-list":["a",{"b":1.50}],"example":"é\"\n"}}`,
	}
	v3Rarities = map[string]string{
		"schemas": `"components":{"schemas":{"d":{"type":"object","nullable":true,"default":[1],"not":{"type":"string"},"oneOf":[{"$ref":"#/x"},{"minimum":3}],"additionalProperties":true,"items":{"type":"string"},"maxLength":7,"x-kubernetes-validations":[{"rule":"a < b"}]},"e":{"default":"s"},"f":{"default":2.5},"g":{"default":3},"h":{"default":false}}}`,
		"rest":    `"servers":[{"url":"/","variables":{"v":{"default":"d","enum":["d"]}}}],"tags":[{"name":"t","externalDocs":{"url":"u"}}],"security":[{"b":["x"]}],"x-top":{"a":null}`,
	}
)

func TestProtobufRefuses(t *testing.T) {
	for _, json := range []string{`[]`, `{"paths":3}`, `{"info":{"titel":"t"}}`, `{"definitions":{"d":{"maxLength":"x"}}}`, `{"paths":{"/a":{"parameters":[{"in":"nowhere"}]}}}`, `{"swagger"`} {
		if got, err := v2Protobuf([]byte(json)); err == nil {
			t.Errorf("%s: %d bytes and no error", json, len(got))
		} else {
			t.Log(err)
		}
	}
}
