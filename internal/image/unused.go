package image

import (
	"context"
	"errors"
	"sort"
)

// UnusedOptions say what RemoveUnused may take.
type UnusedOptions struct {
	RemoveOptions
	// Local takes images that no registry is known to have too.
	Local bool
	// DryRun only says what would go.
	DryRun bool
}

// RemoveUnused removes the images that nothing runs from, never a pinned one, and returns them with the bytes that it
// freed. Images of a pull that is under way stay.
func (s *Store) RemoveUnused(ctx context.Context, o UnusedOptions) (gone []Image, freed int64, err error) {
	for _, i := range s.List() {
		if i.Pinned || i.Local && !o.Local {
			continue
		}
		if o.DryRun {
			if o.InUse == nil || !o.InUse(i) {
				gone, freed = append(gone, i), freed+i.Size
			}
			continue
		}
		if _, err := s.forget(i.ID, o.RemoveOptions); errors.Is(err, ErrInUse) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrPinned) {
			continue
		} else if err != nil {
			return gone, 0, err
		}
		gone = append(gone, i)
	}
	sort.Slice(gone, func(i, j int) bool { return gone[i].ID < gone[j].ID })
	if o.DryRun {
		return gone, freed, nil
	}
	freed, err = s.Prune(ctx)
	return gone, freed, err
}
