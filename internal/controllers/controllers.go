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

// All returns every controller. ca is the PEM of the cluster's authority, for the pods.
func All(vs *client.Views, events *client.Recorder, ca []byte, log *slog.Logger) []control.Controller {
	list := []control.Controller{
		deployment.New(vs, events, log),
		replicaset.New(vs, events, log),
		endpointslice.New(vs, events, log),
		endpoints.New(vs, events, log),
		namespace.New(vs, events, log),
		garbage.New(vs, events, log),
		podgc.New(vs, events, log),
		serviceaccount.New(vs, events, log),
		rootca.New(vs, ca, log),
	}
	return append(list, node.New(vs, events, log)...)
}
