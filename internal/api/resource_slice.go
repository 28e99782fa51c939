package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
)

func resourceSlice() kind {
	return kind{
		group: "resource.k8s.io",
		name:  "ResourceSlice", plural: "resourceslices",
		cluster: true,
		strategy: &Strategy{
			PrepareForCreate: prepare(func(s *resource.ResourceSlice) {
				s.Generation = 1
				dropSliceFields(s, &resource.ResourceSlice{})
			}),
			PrepareForUpdate: prepareUpdate(func(s, old *resource.ResourceSlice) {
				bump(s, old, s.Spec, old.Spec)
				dropSliceFields(s, old)
			}),
			Validate:       valid(validation.ValidateResourceSlice),
			ValidateUpdate: validUpdate(validation.ValidateResourceSliceUpdate),
			Warnings: warn(func(_ context.Context, s, _ *resource.ResourceSlice) []string {
				if s.Spec.Driver == strings.ToLower(s.Spec.Driver) {
					return nil
				}
				return []string{fmt.Sprintf("spec.driver: driver names should be lowercase; %q contains uppercase characters", s.Spec.Driver)}
			}),
			Declarative: func(Object, Object) Declarative {
				const partitions = "DRAPartitionableDevicesType"
				return Declarative{Rules: validation.ResourceNormalizationRules, Options: map[string]bool{partitions: gate(partitions)}}
			},
		},
		returnsDeleted: true,
		fields: selectable(func(s *resourcev1.ResourceSlice) map[string]string {
			return map[string]string{
				resourcev1.ResourceSliceSelectorNodeName: deref(s.Spec.NodeName),
				resourcev1.ResourceSliceSelectorDriver:   s.Spec.Driver,
				resourcev1.ResourceSliceSelectorPoolName: s.Spec.Pool.Name,
			}
		}),
		columns: table("Name", "Node", "Driver", "Pool", "Age"),
		row: typed(func(s *resourcev1.ResourceSlice, now time.Time) []any {
			return []any{s.Name, deref(s.Spec.NodeName), s.Spec.Driver, s.Spec.Pool.Name, age(s.CreationTimestamp, now)}
		}),
	}
}

// dropSliceFields clears the fields whose features are not on by default, unless they are in use.
func dropSliceFields(s, old *resource.ResourceSlice) {
	if !gate("DRAPartitionableDevicesType") && old.Spec.PartitionTypeAttribute == nil {
		s.Spec.PartitionTypeAttribute = nil
	}
	if !gate("DRAOptionalNodeOperations") && len(old.Spec.SkipNodeOperations) == 0 {
		s.Spec.SkipNodeOperations = nil
	}
	devices := func(use func(resource.Device) bool) bool { return slices.ContainsFunc(old.Spec.Devices, use) }
	groups := gate("DRADeviceCompatibilityGroups") || devices(groupsDevices)
	nodes := gate("DRANodeAllocatableResources") || devices(func(d resource.Device) bool { return len(d.NodeAllocatableResources) > 0 })
	lists := gate("DRAListTypeAttributes") || devices(listsAttributes)
	for i := range s.Spec.Devices {
		d := &s.Spec.Devices[i]
		if !nodes {
			d.NodeAllocatableResources = nil
		}
		for j := range d.ConsumesCounters {
			if !groups {
				d.ConsumesCounters[j].CompatibilityGroups = nil
			}
		}
		for k, a := range d.Attributes {
			if !lists {
				a.BoolValues, a.IntValues, a.StringValues, a.VersionValues = nil, nil, nil, nil
				d.Attributes[k] = a
			}
		}
	}
}

func groupsDevices(d resource.Device) bool {
	return slices.ContainsFunc(d.ConsumesCounters, func(c resource.DeviceCounterConsumption) bool { return len(c.CompatibilityGroups) > 0 })
}

func listsAttributes(d resource.Device) bool {
	for _, a := range d.Attributes {
		if a.BoolValues != nil || a.IntValues != nil || a.StringValues != nil || a.VersionValues != nil {
			return true
		}
	}
	return false
}
