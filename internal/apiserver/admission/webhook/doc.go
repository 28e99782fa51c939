// Package webhook asks admission webhooks, as MutatingWebhookConfiguration and ValidatingWebhookConfiguration say.
//
// The admission chain calls Engine.Mutate and Engine.Validate for each write. Which writes a webhook means is decided as for
// policies (package policy). review.go (pure) makes the question and reads the answer, call.go sends it over HTTPS, resolve.go finds
// the endpoints of a webhook's Service. Mutating webhooks are asked one after the other by the name of their configuration,
// validating ones at once. An Engine is safe for concurrent use. Tests ask real HTTPS servers.
package webhook
