// Package credential finds what to show to a registry: in docker's config.json, by credential helpers
// (docker-credential-*) and by the kubelet's credential provider plugins.
//
// The kubelet asks a Chain for its pods' pulls, the command line asks the user's own docker configuration. Nothing is
// kept on disk, and no secret is ever part of an error or a log line. A Chain is safe for concurrent use.
//
// To test against it, write a config.json and a helper script into a temporary directory.
package credential

import "context"

// Login is what a registry is shown: a user with a password, or one of the two tokens.
type Login struct {
	Username, Password string
	IdentityToken      string // refresh token of an OAuth2 token server
	RegistryToken      string // bearer token sent as it is
}

// IsZero reports whether there is nothing in it.
func (l Login) IsZero() bool { return l == Login{} }

// A Source knows logins for images. Found are those that fit, the most specific first; none is no error. pod is nil where no pod is
// behind the question.
type Source interface {
	Logins(ctx context.Context, image string, pod *Pod) ([]Login, error)
}

// Chain asks several sources, one after the other. What one cannot say, tell is told of, and the others are asked.
type Chain struct {
	Sources []Source
	Tell    func(err error) // may be nil
}

// Logins are those of all sources.
func (c Chain) Logins(ctx context.Context, image string, pod *Pod) (out []Login) {
	for _, s := range c.Sources {
		found, err := s.Logins(ctx, image, pod)
		if err != nil && c.Tell != nil {
			c.Tell(err)
		}
		out = append(out, found...)
	}
	return out
}
