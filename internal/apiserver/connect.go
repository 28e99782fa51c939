package apiserver

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"minato.dev/minato/internal/api"
	"minato.dev/minato/internal/apiserver/admission"
	"minato.dev/minato/internal/apiserver/streams"
)

// parameters reads the queries of connections, in the words of core/v1.
var parameters = sync.OnceValue(func() runtime.ParameterCodec { return runtime.NewParameterCodec(api.Scheme()) })

// connectOptions reads the call's query and asks admission.
func (c *call) connectOptions(into runtime.Object) error {
	if len(c.query["dryRun"]) > 0 {
		return apierrors.NewBadRequest("dryRun is not supported")
	}
	if err := parameters().DecodeParameters(c.query, corev1.SchemeGroupVersion, into); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	api.Default(into)
	if c.sub.Name == "log" {
		return nil
	}
	a := c.attributes(admission.Connect, into, nil, nil, false)
	a.Name = c.info.Name
	if err := c.admit(a); err != nil {
		return err
	}
	return c.vet(a)
}

// connectPod passes a log, an exec, an attach or a port-forward on to the kubelet of the pod's node.
func (c *call) connectPod() error {
	if c.sub.Name == "log" {
		return c.log()
	}
	var opts runtime.Object
	switch c.sub.Name {
	case "exec":
		opts = &corev1.PodExecOptions{}
	case "attach":
		opts = &corev1.PodAttachOptions{}
	default:
		opts = &corev1.PodPortForwardOptions{}
	}
	if err := c.connectOptions(opts); err != nil {
		return err
	}
	if err := c.mayConnect(); err != nil {
		return err
	}
	target, wanted, err := c.target(opts)
	if err != nil {
		return err
	}
	k := c.s.kubelet
	switch {
	case wanted != nil && wsstream.IsWebSocketRequestWithStreamCloseProtocol(c.r):
		return streams.Exec(c.w, c.r, target, k.verify, *wanted)
	case wanted == nil && wsstream.IsWebSocketRequestWithTunnelingProtocol(c.r):
		return streams.Tunnel(c.w, c.r, target, k.verify)
	default:
		proxy.NewUpgradeAwareHandler(target, k.verify, false, true, c).ServeHTTP(c.w, c.r)
	}
	return nil
}

// Error is in proxy.ErrorResponder.
func (c *call) Error(w http.ResponseWriter, r *http.Request, err error) { writeStatus(w, r, err) }

// mayConnect holds requests by GET, which browsers need for WebSockets, to the right to create.
func (c *call) mayConnect() error {
	if c.info.Verb == "create" {
		return nil
	}
	a := attributesOf(c.user, c.info)
	a.Verb = "create"
	decision, reason, err := c.s.sec.Authorizer.Authorize(c.ctx(), a)
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	return forbidden(a, reason)
}

// target is the kubelet's URL for a stream, and which streams go over it (nil for a port-forward).
func (c *call) target(opts runtime.Object) (*url.URL, *streams.Options, error) {
	pod, err := c.pod(c.info.Name)
	if err != nil {
		return nil, nil, err
	}
	var wanted *streams.Options
	path, q := "", url.Values{}
	switch o := opts.(type) {
	case *corev1.PodExecOptions:
		wanted = &streams.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Tty: o.TTY}
		path, err = containerPath("exec", pod, o.Container)
		q["command"] = o.Command
	case *corev1.PodAttachOptions:
		wanted = &streams.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Tty: o.TTY}
		path, err = containerPath("attach", pod, o.Container)
	case *corev1.PodPortForwardOptions:
		path = fmt.Sprintf("/portForward/%s/%s", pod.Namespace, pod.Name)
		if len(o.Ports) > 0 {
			q.Set(corev1.PortHeader, joinPorts(o.Ports))
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if pod.Spec.NodeName == "" {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	if wanted != nil {
		addStreams(q, wanted)
	}
	u, err := c.kubeletOf(pod)
	if err != nil {
		return nil, nil, err
	}
	u.Path, u.RawQuery = path, q.Encode()
	return u, wanted, nil
}

// kubeletOf is the URL of the kubelet that runs a pod. A node that is gone is told in upstream's words, which name the pods.
func (c *call) kubeletOf(pod *corev1.Pod) (*url.URL, error) {
	u, err := c.s.kubelet.location(c.ctx(), pod.Spec.NodeName)
	if apierrors.IsNotFound(err) {
		return nil, apierrors.NewNotFound(podsResource.GroupResource(), pod.Spec.NodeName)
	}
	return u, err
}

func addStreams(q url.Values, o *streams.Options) {
	for name, on := range map[string]bool{corev1.ExecStdinParam: o.Stdin, corev1.ExecStdoutParam: o.Stdout, corev1.ExecStderrParam: o.Stderr, corev1.ExecTTYParam: o.Tty} {
		if on {
			q.Set(name, "1")
		}
	}
}

func joinPorts(ports []int32) string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = strconv.Itoa(int(p))
	}
	return strings.Join(out, ",")
}

func containerPath(verb string, pod *corev1.Pod, container string) (string, error) {
	container, err := chooseContainer(pod, container)
	return fmt.Sprintf("/%s/%s/%s/%s", verb, pod.Namespace, pod.Name, container), err
}

// chooseContainer is the container that is meant: the named one, or the pod's only one.
func chooseContainer(pod *corev1.Pod, name string) (string, error) {
	var all []string
	for _, c := range pod.Spec.InitContainers {
		all = append(all, c.Name)
	}
	for _, c := range pod.Spec.Containers {
		all = append(all, c.Name)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		all = append(all, c.Name)
	}
	if name == "" {
		switch len(pod.Spec.Containers) {
		case 1:
			return pod.Spec.Containers[0].Name, nil
		case 0:
			return "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s", pod.Name))
		}
		return "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: %s", pod.Name, all))
	}
	if slices.Contains(all, name) {
		return name, nil
	}
	return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
}
