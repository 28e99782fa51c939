package apiserver

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
)

// continueToken is upstream's form of the place where the next page of a list begins.
type continueToken struct {
	APIVersion      string `json:"v"`
	ResourceVersion int64  `json:"rv"` // negative: the newest state, after the first page's has expired
	StartKey        string `json:"start"`
}

// eventsPrefix is below which keys begin without a slash in tokens: upstream lists events past its cache.
const eventsPrefix = "/registry/events/"

// encodeContinue makes the token for the page that begins at key, below prefix.
func encodeContinue(key, prefix string, revision int64) (string, error) {
	start := strings.TrimPrefix(key, prefix)
	if !strings.HasPrefix(prefix, eventsPrefix) {
		start = "/" + start
	}
	b, err := json.Marshal(continueToken{"meta.k8s.io/v1", revision, start})
	return base64.RawURLEncoding.EncodeToString(b), err
}

// decodeContinue returns where the page begins, which is never above prefix.
func decodeContinue(token, prefix string) (key string, revision int64, err error) {
	const invalid = "continue key is not valid"
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", invalid, err)
	}
	var t continueToken
	if err := json.Unmarshal(b, &t); err != nil {
		return "", 0, fmt.Errorf("%s: %w", invalid, err)
	}
	if t.APIVersion != "meta.k8s.io/v1" {
		return "", 0, fmt.Errorf("%s: server does not recognize this encoded version %v", invalid, t.APIVersion)
	}
	if t.ResourceVersion == 0 {
		return "", 0, errors.New(invalid + ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
	}
	if t.StartKey == "" {
		return "", 0, errors.New(invalid + ": encoded start key empty (version meta.k8s.io/v1)")
	}
	start := t.StartKey
	if !strings.HasPrefix(start, "/") {
		start = "/" + start
	}
	if path.Clean(start) != start {
		return "", 0, fmt.Errorf("%s: %v", invalid, t.StartKey)
	}
	return prefix + start[1:], t.ResourceVersion, nil
}
