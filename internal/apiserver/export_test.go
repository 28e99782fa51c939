package apiserver

import "context"

// Migrate is migrate for tests outside of the package: at once, without pauses.
func (s *Server) Migrate(ctx context.Context) error { return s.migrate(ctx, 0) }

// Suspect is the revision up to which stored values are not trusted.
func (s *Server) Suspect() int64 { return s.suspect.Load() }
