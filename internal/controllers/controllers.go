// Package controllers is the list of all controllers of the control plane.
//
// Each lives in a package of its own, named by its noun; adding one costs that package, its test and one line here.
// The cluster assembly gives the list to control.Run.
package controllers

import (
	"log/slog"
	"time"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
	"minato.dev/minato/internal/controllers/certificates"
	"minato.dev/minato/internal/controllers/clusterroleaggregation"
	"minato.dev/minato/internal/controllers/cronjob"
	"minato.dev/minato/internal/controllers/daemonset"
	"minato.dev/minato/internal/controllers/deployment"
	"minato.dev/minato/internal/controllers/disruption"
	"minato.dev/minato/internal/controllers/endpoints"
	"minato.dev/minato/internal/controllers/endpointslice"
	"minato.dev/minato/internal/controllers/endpointslicemirroring"
	"minato.dev/minato/internal/controllers/garbage"
	"minato.dev/minato/internal/controllers/job"
	"minato.dev/minato/internal/controllers/namespace"
	"minato.dev/minato/internal/controllers/node"
	"minato.dev/minato/internal/controllers/nodeipam"
	"minato.dev/minato/internal/controllers/nodettl"
	"minato.dev/minato/internal/controllers/podgc"
	"minato.dev/minato/internal/controllers/protection"
	"minato.dev/minato/internal/controllers/replicaset"
	"minato.dev/minato/internal/controllers/resourcequota"
	"minato.dev/minato/internal/controllers/rootca"
	"minato.dev/minato/internal/controllers/serviceaccount"
	"minato.dev/minato/internal/controllers/servicecidr"
	"minato.dev/minato/internal/controllers/statefulset"
	"minato.dev/minato/internal/controllers/token"
	"minato.dev/minato/internal/controllers/tokencleaner"
	"minato.dev/minato/internal/controllers/ttl"
)

// A Door gives a controller its clothes: the shared views with a client that writes as the service account
// kube-system/<account>, as upstream's bootstrap roles have it, and a recorder whose events name that account.
type Door func(account string) (*client.Views, *client.Recorder)

// Knowledge is what controllers must know of the cluster and of the API server's own rules; the cluster assembly has it.
type Knowledge struct {
	CA        []byte                           // PEM of the cluster's authority, for the pods
	Aggregate clusterroleaggregation.Aggregate // the rules of an aggregated role
	Quota     resourcequota.Counting           // what a quota counts
	Sign      token.Sign                       // a service account's token without end
	NodeGrace time.Duration                    // how long a node may be silent; 0: upstream's 50 s
	Nodes     nodeipam.Ranges                  // what nodes get for their pods
	Issue     certificates.Rules               // how certificates are signed
}

// All returns every controller. The account "" is the controller manager itself.
func All(door Door, know Knowledge, log *slog.Logger) (list []control.Controller) {
	for _, c := range []struct {
		account string
		make    func(*client.Views, *client.Recorder, *slog.Logger) control.Controller
	}{
		{"deployment-controller", deployment.New},
		{"replicaset-controller", replicaset.New},
		{"replication-controller", replicaset.NewReplicationController},
		{"daemon-set-controller", daemonset.New},
		{"statefulset-controller", statefulset.New},
		{"job-controller", job.New},
		{"cronjob-controller", cronjob.New},
		{"ttl-after-finished-controller", ttl.New},
		{"disruption-controller", disruption.New},
		{"endpointslice-controller", endpointslice.New},
		{"endpointslicemirroring-controller", endpointslicemirroring.New},
		{"endpoint-controller", endpoints.New},
		{"namespace-controller", namespace.New},
		{"generic-garbage-collector", garbage.New},
		{"pod-garbage-collector", podgc.New},
		{"pvc-protection-controller", protection.NewClaims},
		{"pv-protection-controller", protection.NewVolumes},
		{"volumeattributesclass-protection-controller", protection.NewClasses},
		{"service-account-controller", serviceaccount.New},
		{"node-controller", func(vs *client.Views, rec *client.Recorder, log *slog.Logger) control.Controller {
			return node.NewLifecycle(vs, rec, know.NodeGrace, log)
		}},
		{"node-controller", node.NewEviction},
		{"ttl-controller", nodettl.New},
		{"token-cleaner", tokencleaner.New},
		{"node-controller", func(vs *client.Views, rec *client.Recorder, log *slog.Logger) control.Controller {
			return nodeipam.New(vs, rec, know.Nodes, log)
		}},
		{certificates.Account, func(vs *client.Views, _ *client.Recorder, log *slog.Logger) control.Controller {
			return certificates.New(vs, know.Issue, log)
		}},
		{"service-cidrs-controller", servicecidr.New},
		{"root-ca-cert-publisher", func(vs *client.Views, _ *client.Recorder, log *slog.Logger) control.Controller {
			return rootca.New(vs, know.CA, log)
		}},
		{clusterroleaggregation.Account, func(vs *client.Views, _ *client.Recorder, log *slog.Logger) control.Controller {
			return clusterroleaggregation.New(vs, know.Aggregate, log)
		}},
		{resourcequota.Account, func(vs *client.Views, _ *client.Recorder, log *slog.Logger) control.Controller {
			return resourcequota.New(vs, know.Quota, log)
		}},
		{"", func(vs *client.Views, _ *client.Recorder, log *slog.Logger) control.Controller {
			return token.New(vs, know.CA, know.Sign, log)
		}},
	} {
		views, events := door(c.account)
		list = append(list, c.make(views, events, log))
	}
	return list
}
