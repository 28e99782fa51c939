// Package authn finds out who sends a request: client certificate, service-account token, or nobody (anonymous).
//
// The API server's filter chain calls the authenticator.Request that New returns for every request, in process too:
// there the request carries its certificate in TLS.PeerCertificates, and the verification is remembered by hash. The
// TokenRequest verb calls Issuer.Issue. Everything is safe for concurrent use. Tests use a map for Objects and a clock.
package authn
