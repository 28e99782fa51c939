package api

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

func event() kind {
	return kind{
		name: "Event", plural: "events",
		short: []string{"ev"},
		strategy: &Strategy{
			Validate: func(ctx context.Context, r *Request, obj Object) field.ErrorList {
				return validation.ValidateEventCreate(obj.(*core.Event), r.GroupVersion)
			},
			ValidateUpdate: func(ctx context.Context, r *Request, obj, old Object) field.ErrorList {
				return validation.ValidateEventUpdate(obj.(*core.Event), old.(*core.Event), r.GroupVersion)
			},
			AllowCreateOnUpdate: true,
			Orphaning:           NoDependents,
		},
		fields: selectable(eventFields),
		wire: &wireMap{
			leaves: []wireLeaf{
				text("involvedObject.kind", 2, 1), text("involvedObject.namespace", 2, 2), text("involvedObject.name", 2, 3),
				text("involvedObject.uid", 2, 4), text("involvedObject.apiVersion", 2, 5),
				text("involvedObject.resourceVersion", 2, 6), text("involvedObject.fieldPath", 2, 7),
				text("reason", 3), text("source", 5, 1), text("type", 9), text("reportingComponent", 14),
			},
			finish: func(f map[string]string) { f["source"] = or(f["source"], f["reportingComponent"]) },
		},
		columns: table("Last Seen", "Type", "Reason", "Object", "Subobject+", "Source+", "Message", "First Seen+", "Count+", "Name+"),
		row:     typed(eventRow),
	}
}

// eventsOfOwnGroup is events.k8s.io/v1, another view of the same stored kind.
func eventsOfOwnGroup(core *Resource) *Resource {
	r := *core
	r.GroupVersion = schema.GroupVersion{Group: "events.k8s.io", Version: "v1"}
	r.FieldLabel = fieldLabel(r.GVK())
	return &r
}

func eventFields(e *corev1.Event) map[string]string {
	source := e.Source.Component
	if source == "" {
		source = e.ReportingController
	}
	return map[string]string{
		"involvedObject.kind":            e.InvolvedObject.Kind,
		"involvedObject.namespace":       e.InvolvedObject.Namespace,
		"involvedObject.name":            e.InvolvedObject.Name,
		"involvedObject.uid":             string(e.InvolvedObject.UID),
		"involvedObject.apiVersion":      e.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": e.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       e.InvolvedObject.FieldPath,
		"reason":                         e.Reason,
		"reportingComponent":             e.ReportingController,
		"source":                         source,
		"type":                           e.Type,
	}
}

func eventRow(e *corev1.Event, now time.Time) []any {
	first := age(e.FirstTimestamp, now)
	if e.FirstTimestamp.IsZero() {
		first = microAge(e.EventTime, now)
	}
	last := age(e.LastTimestamp, now)
	if e.LastTimestamp.IsZero() {
		last = first
	}
	count := e.Count
	if e.Series != nil {
		last, count = microAge(e.Series.LastObservedTime, now), e.Series.Count
	} else if count == 0 { // events of the new API that happened once
		count = 1
	}
	about := strings.ToLower(e.InvolvedObject.Kind)
	if e.InvolvedObject.Name != "" {
		about += "/" + e.InvolvedObject.Name
	}
	return []any{last, e.Type, e.Reason, about, e.InvolvedObject.FieldPath, eventSource(e), strings.TrimSpace(e.Message), first, int64(count), e.Name}
}

// eventSource is "kubelet, node-1".
func eventSource(e *corev1.Event) string {
	who := or(e.Source.Component, e.ReportingController)
	if where := or(e.Source.Host, e.ReportingInstance); where != "" {
		return who + ", " + where
	}
	return who
}
