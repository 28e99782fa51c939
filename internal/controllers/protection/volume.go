package protection

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"

	"minato.dev/minato/internal/client"
	"minato.dev/minato/internal/control"
)

const volumeFinalizer = "kubernetes.io/pv-protection"

// NewVolumes returns the controller of volumes: a bound one stays.
func NewVolumes(vs *client.Views, _ *client.Recorder, _ *slog.Logger) control.Controller {
	volumes, door := client.ViewOf(vs, client.PersistentVolumes), client.Of(vs.Client(), client.PersistentVolumes)
	return control.Controller{
		Name: "pv-protection", Workers: 1,
		Sources: []control.Source{control.Self(volumes)},
		Writes:  []string{"persistentvolumes:protection"},
		Reconcile: func(ctx context.Context, k control.Key) (control.Result, error) {
			v, ok := volumes.Get("", k.Name)
			if !ok || !guarded(v, volumeFinalizer) || v.Status.Phase == corev1.VolumeBound {
				return control.Result{}, nil
			}
			return control.Result{}, letGo(ctx, door, v.DeepCopy(), volumeFinalizer)
		},
	}
}
