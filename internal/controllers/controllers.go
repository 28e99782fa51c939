// Package controllers is the list of all controllers of the control plane.
//
// Each lives in a package of its own, named by its noun; adding one costs that package, its test and one line here.
// The cluster assembly gives the list to control.Run.
package controllers

import (
	"log/slog"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/deployment"
	"minato.dev/minato/internal/controllers/endpoints"
	"minato.dev/minato/internal/controllers/endpointslice"
	"minato.dev/minato/internal/controllers/garbage"
	"minato.dev/minato/internal/controllers/namespace"
	"minato.dev/minato/internal/controllers/node"
	"minato.dev/minato/internal/controllers/podgc"
	"minato.dev/minato/internal/controllers/replicaset"
	"minato.dev/minato/internal/controllers/rootca"
	"minato.dev/minato/internal/controllers/serviceaccount"
)

// A Door gives a controller its clothes: the shared views with a client that writes as the service account
// kube-system/<account>, as upstream's bootstrap roles have it, and a recorder whose events name that account.
type Door func(account string) (*client.Views, *client.Recorder)

// All returns every controller. ca is the PEM of the cluster's authority, for the pods.
func All(door Door, ca []byte, log *slog.Logger) (list []control.Controller) {
	for _, c := range []struct {
		account string
		make    func(*client.Views, *client.Recorder, *slog.Logger) control.Controller
	}{
		{"deployment-controller", deployment.New},
		{"replicaset-controller", replicaset.New},
		{"endpointslice-controller", endpointslice.New},
		{"endpoint-controller", endpoints.New},
		{"namespace-controller", namespace.New},
		{"generic-garbage-collector", garbage.New},
		{"pod-garbage-collector", podgc.New},
		{"service-account-controller", serviceaccount.New},
		{"node-controller", node.NewLifecycle},
		{"node-controller", node.NewEviction},
	} {
		views, events := door(c.account)
		list = append(list, c.make(views, events, log))
	}
	views, _ := door("root-ca-cert-publisher")
	return append(list, rootca.New(views, ca, log))
}
