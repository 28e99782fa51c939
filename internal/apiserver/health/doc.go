// Package health answers whether the server lives and is ready, which version it is and how it fares: /healthz, /livez,
// /readyz, /version, /metrics and /debug/pprof.
//
// The API server mounts Handler behind authorization and reports each finished request to Metrics. Safe for concurrent use.
package health
