// Package static reads the pods that a node runs from files, without anybody's asking: one pod a file, YAML or JSON.
//
// The kubelet calls Read at its start and whenever Watch says that the directory has changed. Read only reads; tests give
// it a directory of their own.
package static

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	internalv1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

// Annotations of pods that come from files, and of their pictures in the API.
const (
	Source = "kubernetes.io/config.source"
	Hash   = "kubernetes.io/config.hash"
	Mirror = corev1.MirrorPodAnnotationKey
)

// maxFile is how large a manifest may be.
const maxFile = 10 << 20

// File is what a file holds: a pod, or why it holds none.
type File struct {
	Pod *corev1.Pod
	Err error
}

// Read returns the files of dir by name. Those whose names begin with a dot, and directories, do not count.
func Read(dir, node string) (map[string]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string]File{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		st, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) || err == nil && st.IsDir() {
			continue
		}
		pod, err := read(path, node)
		if errors.Is(err, os.ErrNotExist) {
			continue // it went meanwhile
		}
		files[e.Name()] = File{pod, err}
	}
	return files, nil
}

func read(path, node string) (*corev1.Pod, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return Parse(raw, path, node)
}

// Parse reads one manifest, with the defaults and the validation of the API. path is where it comes from: it is part of
// the pod's identity, so that two files with the same text are two pods.
func Parse(raw []byte, path, node string) (*corev1.Pod, error) {
	json, err := yaml.ToJSON(raw)
	if err != nil {
		return nil, err
	}
	obj, _, err := codecs().UniversalDeserializer().Decode(json, nil, nil)
	if err != nil {
		return nil, err
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("holds a %s, not a Pod", obj.GetObjectKind().GroupVersionKind().Kind)
	}
	if pod.Name == "" {
		return nil, errors.New("invalid pod: name is needed for the pod")
	}
	identify(pod, raw, path, node)
	internalv1.SetObjectDefaults_Pod(pod)
	return pod, check(pod)
}

// identify makes the pod this node's: its name, its UID from what the file says, and what marks it as a static one.
func identify(pod *corev1.Pod, raw []byte, path, node string) {
	if pod.UID == "" {
		h := md5.New()
		h.Write(raw)
		fmt.Fprintf(h, "\x00host:%s\x00file:%s", node, path)
		pod.UID = types.UID(hex.EncodeToString(h.Sum(nil)))
	}
	pod.Name += "-" + strings.ToLower(node)
	if pod.Namespace == "" {
		pod.Namespace = metav1.NamespaceDefault
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[Hash], pod.Annotations[Source] = string(pod.UID), "file"
	pod.Spec.NodeName = node
	pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute})
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
}

func check(pod *corev1.Pod) error {
	in := &core.Pod{}
	if err := internalv1.Convert_v1_Pod_To_core_Pod(pod.DeepCopy(), in, nil); err != nil {
		return err
	}
	opts := podutil.GetValidationOptionsFromPodSpecAndMeta(&in.Spec, nil, &in.ObjectMeta, nil)
	if errs := validation.ValidatePodCreate(in, opts); len(errs) > 0 {
		return fmt.Errorf("invalid pod: %w", errs.ToAggregate())
	}
	if _, what, err := podutil.HasAPIObjectReference(in); err != nil || what != "" {
		return errors.Join(err, fmt.Errorf("static pods may not reference %s", what))
	}
	return nil
}

// codecs reads v1 objects and nothing else.
func codecs() serializer.CodecFactory {
	s := runtime.NewScheme()
	if err := corev1.AddToScheme(s); err != nil {
		panic(fmt.Sprintf("static: the scheme of v1 does not register: %v", err))
	}
	return serializer.NewCodecFactory(s, serializer.EnableStrict)
}
