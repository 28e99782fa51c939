package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	authv1 "k8s.io/api/authentication/v1"

	"minato.dev/minato/internal/client"
)

// token asks for a service account token on behalf of a pod. The path is a core one and the body of another group, so
// the typed client does not fit.
func (k *Kubelet) token(ctx context.Context, ns, account string, r *authv1.TokenRequest) (*authv1.TokenRequest, error) {
	r.APIVersion, r.Kind = authv1.SchemeGroupVersion.String(), "TokenRequest"
	r.Namespace, r.Name = ns, account
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	path := client.Of(k.c, client.ServiceAccounts).Path(ns, account, "token")
	resp, err := k.c.Do(ctx, client.Request{Method: http.MethodPost, Path: path, ContentType: "application/json", Accept: "application/json", Body: body})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got := &authv1.TokenRequest{}
	if err := json.NewDecoder(resp.Body).Decode(got); err != nil {
		return nil, fmt.Errorf("token of %s/%s: %w", ns, account, err)
	}
	return got, nil
}
