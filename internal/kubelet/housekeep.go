package kubelet

import "context"

// housekeep does what has to be done now and then; keepNode calls it each period.
func (k *Kubelet) housekeep(ctx context.Context) {
	k.look(ctx)
	k.listImages(ctx)
}
