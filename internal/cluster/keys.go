package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"minato.dev/minato/internal/apiserver/authn"
	"minato.dev/minato/internal/pki"
)

// tokenKeys are the keys of service account tokens of a server that runs. The files are the truth; the issuer is told
// after they have changed.
type tokenKeys struct {
	dir    string // empty: not a server
	mu     sync.Mutex
	issuer atomic.Pointer[authn.Issuer] // nil until the API server has one
}

func (k *tokenKeys) rotate(w http.ResponseWriter, _ *http.Request) {
	answer(w, nil, k.change(func() error { return pki.RotateTokenKey(k.dir) }))
}

func (k *tokenKeys) remove(w http.ResponseWriter, r *http.Request) {
	answer(w, nil, k.change(func() error { return pki.RemoveTokenKey(k.dir, r.FormValue("id")) }))
}

func (k *tokenKeys) change(do func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	issuer := k.issuer.Load()
	switch {
	case k.dir == "":
		return errors.New("there is no API server here: its keys are where `minato up` started it")
	case issuer == nil:
		return errors.New("the API server is on its way up: try again in a moment")
	}
	if err := do(); err != nil {
		return err
	}
	sign, believed, err := pki.ReadTokenKeys(k.dir)
	if err != nil {
		return err
	}
	return issuer.SetKeys(sign, believed...)
}

// TokenKeys lists the keys of the cluster in a data directory that service account tokens are verified with.
func TokenKeys(data string) ([]pki.TokenKey, error) {
	if err := hasKeys(data); err != nil {
		return nil, err
	}
	return pki.TokenKeys(Paths{Data: data}.PKI())
}

// RotateTokenKey has a new key sign from now on. The cluster may run or not.
func RotateTokenKey(ctx context.Context, data string) error {
	return changeKeys(ctx, data, "/keys/rotate", nil, pki.RotateTokenKey)
}

// RemoveTokenKey ends all tokens that a key has signed. The cluster may run or not.
func RemoveTokenKey(ctx context.Context, data, id string) error {
	return changeKeys(ctx, data, "/keys/remove", url.Values{"id": {id}}, func(dir string) error { return pki.RemoveTokenKey(dir, id) })
}

func hasKeys(data string) error {
	id, err := ReadIdentity(data)
	switch {
	case err != nil || id.Provisional:
		return fmt.Errorf("no cluster in %s; start one with `minato up`", data)
	case id.Agent():
		return fmt.Errorf("%s is a node of the cluster at %s: its keys are where that runs", data, id.Server)
	}
	return nil
}

// changeKeys asks the cluster that runs on data, or does it itself where none does.
func changeKeys(ctx context.Context, data, path string, q url.Values, do func(dir string) error) error {
	if err := hasKeys(data); err != nil {
		return err
	}
	held, err := lock(Paths{Data: data}.lock())
	if err == nil {
		return errors.Join(do(Paths{Data: data}.PKI()), held.Close())
	}
	if !errors.Is(err, ErrRunning) {
		return err
	}
	socket, err := FindLocalSocket(data)
	if err != nil {
		return err
	}
	resp, err := AskLocal(ctx, socket, http.MethodPost, path, q, nil)
	if err != nil {
		return fmt.Errorf("reach the cluster in %s: %w", data, err)
	}
	defer resp.Body.Close()
	var a LocalAnswer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return fmt.Errorf("the cluster in %s broke off its answer: %w", data, err)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}
