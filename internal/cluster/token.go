package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/pki"
)

// bootstrapSecret begins the names of the Secrets of bootstrap tokens.
const bootstrapSecret = "bootstrap-token-"

// Token is a bootstrap token as it is kept, without its secret.
type Token struct {
	ID          string     `json:"id"`
	Expires     *time.Time `json:"expires,omitempty"` // nil: never
	Description string     `json:"description,omitempty"`
}

// Tokens is the door to a cluster's tokens, on the server's machine.
type Tokens struct {
	id    Identity
	caPEM []byte
	c     *client.Client
}

// OpenTokens reaches the running cluster of a data directory as its administrator.
func OpenTokens(data string) (*Tokens, error) {
	id, err := ReadIdentity(data)
	if err != nil {
		return nil, fmt.Errorf("no cluster in %s; start one with `minato up`", data)
	}
	if id.Agent() {
		return nil, fmt.Errorf("%s is a node of the cluster at %s: tokens are made where that runs", data, id.Server)
	}
	if pid, err := Running(data); err != nil || pid == 0 {
		return nil, fmt.Errorf("the cluster in %s is not running; start it with `minato up`", data)
	}
	own, admin, err := pki.OpenAdmin(Paths{Data: data}.PKI())
	if err != nil {
		return nil, err
	}
	server := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(id.Port))
	return &Tokens{id, own.CAPEM, client.New(server, newRemote(own.Pool(), admin), "minato/token")}, nil
}

// Create makes a token that lives for life (0: for ever) and all that machines need to join with it. It returns the token
// and the address of the server.
func (t *Tokens) Create(ctx context.Context, life time.Duration, description string) (JoinToken, string, error) {
	server, err := t.server(ctx)
	if err != nil {
		return JoinToken{}, "", err
	}
	token, err := newJoinToken(t.caPEM)
	if err != nil {
		return token, "", err
	}
	if err := letJoin(ctx, t.c, t.id, server, t.caPEM); err != nil {
		return token, "", err
	}
	data := map[string]string{"token-id": token.ID, "token-secret": token.Secret, "usage-bootstrap-authentication": "true",
		"auth-extra-groups": joiners, "description": description}
	if life > 0 {
		data["expiration"] = time.Now().Add(life).UTC().Format(time.RFC3339)
	}
	_, err = client.Of(t.c, client.Secrets).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: bootstrapSecret + token.ID},
		Type: corev1.SecretTypeBootstrapToken, StringData: data})
	return token, server, err
}

// server is where machines reach the API server: what the Service "kubernetes" has behind it.
func (t *Tokens) server(ctx context.Context) (string, error) {
	slice, err := client.Of(t.c, client.EndpointSlices).Get(ctx, metav1.NamespaceDefault, "kubernetes")
	if err != nil {
		return "", fmt.Errorf("address of the API server: %w", err)
	}
	if len(slice.Endpoints) == 0 || len(slice.Endpoints[0].Addresses) == 0 {
		return "", fmt.Errorf("the Service kubernetes has no endpoint: the API server's address is not known")
	}
	ip, err := netip.ParseAddr(slice.Endpoints[0].Addresses[0])
	if err != nil {
		return "", err
	}
	if t.id.PodCIDR.Contains(ip) {
		return "", fmt.Errorf("this machine had no address for others when the cluster was started (it calls itself %s): connect it, then start the cluster again, with --node-ip if it has several", ip)
	}
	return "https://" + net.JoinHostPort(ip.String(), strconv.Itoa(t.id.Port)), nil
}

// List returns the tokens that are there, by their ids.
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	secrets, _, err := client.Of(t.c, client.Secrets).List(ctx, metav1.NamespaceSystem, metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeBootstrapToken)})
	if err != nil {
		return nil, err
	}
	list := []Token{}
	for _, s := range secrets {
		k := Token{ID: strings.TrimPrefix(s.Name, bootstrapSecret), Description: string(s.Data["description"])}
		if end, err := time.Parse(time.RFC3339, string(s.Data["expiration"])); err == nil {
			k.Expires = &end
		}
		list = append(list, k)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list, nil
}

// Delete removes a token, named by its id or by the whole of it. Nodes that joined with it stay.
func (t *Tokens) Delete(ctx context.Context, name string) error {
	id, _, _ := strings.Cut(name, ".")
	err := client.Of(t.c, client.Secrets).Delete(ctx, metav1.NamespaceSystem, bootstrapSecret+id, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("no token %q; `minato token list` lists them", id)
	}
	return err
}
