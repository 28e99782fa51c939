package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"minato.dev/minato/internal/cri"
)

// Image has the container's image and those that it mounts as volumes on the node, as their pull policies say, and
// returns the runtime's reference to the first.
func (n *Node) Image(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (string, error) {
	ref, err := n.image(ctx, pod, c.Name, c.Image, c.ImagePullPolicy)
	for i := range c.VolumeMounts {
		v := volumeOf(pod, c.VolumeMounts[i].Name)
		if err == nil && v != nil && v.Image != nil && v.Image.Reference != "" {
			_, err = n.image(ctx, pod, c.Name, v.Image.Reference, v.Image.PullPolicy)
		}
	}
	if f := AsFailure(err); f != nil && !f.Quiet && ctx.Err() == nil {
		n.event(pod, c.Name, corev1.EventTypeWarning, "Failed", "Error: %s", f.Reason)
	}
	return ref, err
}

func (n *Node) image(ctx context.Context, pod *corev1.Pod, container, image string, policy corev1.PullPolicy) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		message := fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name %q: %v", image, image, err)
		n.event(pod, container, corev1.EventTypeWarning, "InspectFailed", "%s", message)
		return "", fail("InvalidImageName", "%s", message)
	}
	spec := &runtimeapi.ImageSpec{Image: tagged(image, named), Annotations: pod.Annotations}
	st, err := n.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: spec})
	if err != nil {
		message := fmt.Sprintf("Failed to inspect image %q: %s", image, cri.Message(err))
		n.event(pod, container, corev1.EventTypeWarning, "InspectFailed", "%s", message)
		return "", fail("ImageInspectError", "%s", message)
	}
	present := st.Image.GetId() != ""
	switch {
	case present && policy != corev1.PullAlways:
		n.event(pod, container, corev1.EventTypeNormal, "Pulled", "Container image %q already present on machine and can be accessed by the pod", image)
		return st.Image.Id, nil
	case policy == corev1.PullNever:
		message := fmt.Sprintf("Container image %q is not present with pull policy of Never", image)
		n.event(pod, container, corev1.EventTypeWarning, "ErrImageNeverPull", "%s", message)
		return "", fail("ErrImageNeverPull", "%s", message)
	}
	return n.pull(ctx, pod, container, image, spec)
}

// tagged adds the tag latest where the reference has neither tag nor digest, and nothing else: the runtime completes
// names by its own rules.
func tagged(image string, named reference.Named) string {
	if reference.IsNameOnly(named) {
		return image + ":latest"
	}
	return image
}

func (n *Node) pull(ctx context.Context, pod *corev1.Pod, container, image string, spec *runtimeapi.ImageSpec) (string, error) {
	keys, missing := n.keyring(ctx, pod)
	if len(missing) > 0 {
		n.event(pod, "", corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(missing, ", "))
	}
	n.event(pod, container, corev1.EventTypeNormal, "Pulling", "Pulling image %q", image)
	box, err := n.SandboxConfig(pod, 0)
	if err != nil {
		return "", fail("ErrImagePull", "%v", err)
	}
	began := time.Now()
	ref, err := n.pullAny(ctx, spec, box, n.logins(ctx, pod, keys, spec.Image))
	if err != nil {
		message := cri.Message(err)
		if ctx.Err() == nil {
			n.event(pod, container, corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %s", image, message)
		}
		return "", fail(pullReason(err), "%s", message)
	}
	took := time.Since(began).Truncate(time.Millisecond)
	size := uint64(0)
	if st, err := n.Images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}}); err == nil {
		size = st.Image.GetSize()
	}
	n.event(pod, container, corev1.EventTypeNormal, "Pulled", "Successfully pulled image %q in %v (%v including waiting). Image size: %v bytes.", image, took, took, size)
	return ref, nil
}

// pullAny tries each credential in turn, and none where none matches.
func (n *Node) pullAny(ctx context.Context, spec *runtimeapi.ImageSpec, box *runtimeapi.PodSandboxConfig, creds []*runtimeapi.AuthConfig) (string, error) {
	if len(creds) == 0 {
		creds = []*runtimeapi.AuthConfig{nil}
	}
	var errs []error
	for _, a := range creds {
		resp, err := n.Images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: spec, Auth: a, SandboxConfig: box})
		if err == nil {
			return resp.ImageRef, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return "", errs[0]
	}
	words := make([]error, len(errs))
	for i, err := range errs {
		words[i] = errors.New(cri.Message(err))
	}
	return "", errors.Join(words...)
}

// pullReason is the waiting reason: runtimes name the two that are not a plain failure in their message.
func pullReason(err error) string {
	for _, r := range []string{"RegistryUnavailable", "SignatureValidationFailed"} {
		if strings.HasPrefix(cri.Message(err), r) {
			return r
		}
	}
	return "ErrImagePull"
}
