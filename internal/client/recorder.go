package client

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Recorder writes Events about objects, in the background, repeated ones as a count on the first.
type Recorder struct {
	c      *Client
	log    *slog.Logger
	source corev1.EventSource
	queue  chan *corev1.Event
}

// NewRecorder returns a Recorder for one component; its Run must be called.
func NewRecorder(c *Client, log *slog.Logger, component, host string) *Recorder {
	return &Recorder{c: c, log: log, source: corev1.EventSource{Component: component, Host: host},
		queue: make(chan *corev1.Event, 1000)}
}

// Event notes that reason happened to obj. eventType is corev1.EventTypeNormal or EventTypeWarning. It never blocks;
// when a thousand events wait already, the new one is dropped with a log line.
func (r *Recorder) Event(obj Object, eventType, reason, format string, args ...any) {
	ref := Reference(obj)
	r.EventOn(ref, eventType, reason, format, args...)
}

// EventOn is Event for an object known by reference, for example one container of a pod (ref.FieldPath).
func (r *Recorder) EventOn(ref corev1.ObjectReference, eventType, reason, format string, args ...any) {
	now := metav1.Now()
	ns := ref.Namespace
	if ns == "" {
		ns = metav1.NamespaceDefault
	}
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("%s.%x", ref.Name, now.UnixNano())},
		InvolvedObject: ref, Type: eventType, Reason: reason, Message: fmt.Sprintf(format, args...),
		Source: r.source, ReportingController: r.source.Component, ReportingInstance: r.source.Host, FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
	r.put(e)
}

// Acted is Event in the form of events.k8s.io, which says what was tried (action) and counts repetitions as a series.
func (r *Recorder) Acted(obj Object, eventType, reason, action, format string, args ...any) {
	now, ref := metav1.NowMicro(), Reference(obj)
	ns := ref.Namespace
	if ns == "" {
		ns = metav1.NamespaceDefault
	}
	r.put(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("%s.%x", ref.Name, now.UnixNano())},
		InvolvedObject: ref, Type: eventType, Reason: reason, Action: action, Message: fmt.Sprintf(format, args...), EventTime: now,
		ReportingController: r.source.Component, ReportingInstance: strings.TrimSuffix(r.source.Component+"-"+r.source.Host, "-"),
	})
}

func (r *Recorder) put(e *corev1.Event) {
	select {
	case r.queue <- e:
	default:
		r.log.Warn("event dropped, too many are waiting", "reason", e.Reason, "object", e.InvolvedObject.Name)
	}
}

// Reference names obj for an event.
func Reference(obj Object) corev1.ObjectReference {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Empty() {
		if kinds, _, err := goTypes().ObjectKinds(obj.(runtime.Object)); err == nil {
			gvk = kinds[0]
		}
	}
	api, kind := gvk.ToAPIVersionAndKind()
	return corev1.ObjectReference{APIVersion: api, Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName(),
		UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion()}
}

type eventKey struct {
	ref                      corev1.ObjectReference
	eventType, reason, about string
}

type eventSeen struct {
	name  string
	count int32
	last  time.Time
}

// Run writes the events until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	const remembered = 4096
	seen := map[eventKey]*eventSeen{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-r.queue:
			if len(seen) > remembered {
				clear(seen)
			}
			if err := r.write(ctx, e, seen); err != nil && ctx.Err() == nil {
				r.log.Debug("event not written", "reason", e.Reason, "object", e.InvolvedObject.Name, "err", err)
			}
		}
	}
}

func (r *Recorder) write(ctx context.Context, e *corev1.Event, seen map[eventKey]*eventSeen) error {
	ref := e.InvolvedObject
	ref.ResourceVersion = ""
	key := eventKey{ref, e.Type, e.Reason, e.Message}
	if s := seen[key]; s != nil {
		s.count, s.last = s.count+1, lastOf(e)
		patch := fmt.Sprintf(`{"count":%d,"lastTimestamp":%q}`, s.count, s.last.UTC().Format(time.RFC3339))
		if !e.EventTime.IsZero() {
			patch = fmt.Sprintf(`{"series":{"count":%d,"lastObservedTime":%q}}`, s.count, s.last.UTC().Format(metav1.RFC3339Micro))
		}
		_, err := Of(r.c, Events).Patch(ctx, e.Namespace, s.name, types.StrategicMergePatchType, []byte(patch))
		if err == nil {
			return nil
		}
		delete(seen, key)
	}
	created, err := Of(r.c, Events).Create(ctx, e)
	if err != nil {
		return err
	}
	seen[key] = &eventSeen{name: created.Name, count: 1, last: lastOf(e)}
	return nil
}

func lastOf(e *corev1.Event) time.Time {
	if !e.EventTime.IsZero() {
		return e.EventTime.Time
	}
	return e.LastTimestamp.Time
}
