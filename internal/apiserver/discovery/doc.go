// Package discovery tells clients which groups, versions and resources there are.
//
// The API server mounts Handler on /api, /apis and the documents below them. Every document is rendered once for each
// encoding when the set of groups changes (Set), never a request. Safe for concurrent use. Tests compare with
// upstream's published documents.
package discovery
