package kubelet

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
	"minato.dev/minato/internal/kubelet/machine"
)

// runtimeAnswer is how long the runtime may take to say how it is.
const runtimeAnswer = 5 * time.Second

// conditions are the node's, from what housekeep saw last.
func (k *Kubelet) conditions(time.Time) []corev1.NodeCondition {
	ready := k.runtimeReady
	under := func(t corev1.NodeConditionType) bool { return !k.pressed[t].IsZero() }
	memory, disk, pids := under(corev1.NodeMemoryPressure), under(corev1.NodeDiskPressure), under(corev1.NodePIDPressure)
	out := []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, memory, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, disk, "KubeletHasDiskPressure", "kubelet has disk pressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, pids, "KubeletHasInsufficientPID", "kubelet has insufficient PID available", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
	}
	return append(out, condition(corev1.NodeReady, ready == "", "KubeletReady", "kubelet is posting ready status", "KubeletNotReady", ready))
}

func condition(t corev1.NodeConditionType, yes bool, reason, message, noReason, noMessage string) corev1.NodeCondition {
	if yes {
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: message}
	}
	return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: noReason, Message: noMessage}
}

// look reads what the conditions depend on.
func (k *Kubelet) look(ctx context.Context) {
	if free, err := machine.Pressure(k.cfg.RootDir, k.imageDir); err == nil {
		k.free = free
	}
	bounded, cancel := context.WithTimeout(ctx, runtimeAnswer)
	defer cancel()
	st, err := k.cfg.CRI.Status(bounded, &runtimeapi.StatusRequest{})
	if err != nil {
		k.runtimeReady = "container runtime is down: " + cri.Message(err)
		return
	}
	handlers := handlersOf(st)
	k.handlers.Store(&handlers)
	var words []string
	for _, c := range st.Status.GetConditions() {
		if c.Status {
			continue
		}
		switch c.Type {
		case "RuntimeReady":
			words = append(words, "container runtime not ready: "+c.Type+"=false reason:"+c.Reason+" message:"+c.Message)
		case "NetworkReady":
			words = append(words, "container runtime network not ready: "+c.Type+"=false reason:"+c.Reason+" message:"+c.Message)
		}
	}
	k.runtimeReady = strings.Join(words, ", ")
}
