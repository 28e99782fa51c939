package api

import (
	"fmt"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// metricsCell shows "cpu: 40%/80%, 3/10 (avg)": two metrics, and the number of the others.
func metricsCell(specs []autoscalingv2.MetricSpec, statuses []autoscalingv2.MetricStatus) string {
	const most = 2
	if len(specs) == 0 {
		return "<none>"
	}
	var list []string
	for i, spec := range specs {
		var now autoscalingv2.MetricStatus
		if i < len(statuses) {
			now = statuses[i]
		}
		list = append(list, metricCell(spec, now))
	}
	if len(list) > most {
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}

func metricCell(spec autoscalingv2.MetricSpec, now autoscalingv2.MetricStatus) string {
	switch spec.Type {
	case autoscalingv2.ExternalMetricSourceType:
		var is *autoscalingv2.MetricValueStatus
		if now.External != nil {
			is = &now.External.Current
		}
		return valueCell(spec.External.Target, is)
	case autoscalingv2.ObjectMetricSourceType:
		var is *autoscalingv2.MetricValueStatus
		if now.Object != nil {
			is = &now.Object.Current
		}
		return valueCell(spec.Object.Target, is)
	case autoscalingv2.PodsMetricSourceType:
		is := "<unknown>"
		if now.Pods != nil {
			is = now.Pods.Current.AverageValue.String()
		}
		return is + "/" + spec.Pods.Target.AverageValue.String()
	case autoscalingv2.ResourceMetricSourceType:
		var is *autoscalingv2.MetricValueStatus
		if now.Resource != nil {
			is = &now.Resource.Current
		}
		return string(spec.Resource.Name) + ": " + usageCell(spec.Resource.Target, is)
	case autoscalingv2.ContainerResourceMetricSourceType:
		var is *autoscalingv2.MetricValueStatus
		if now.ContainerResource != nil {
			is = &now.ContainerResource.Current
		}
		return string(spec.ContainerResource.Name) + ": " + usageCell(spec.ContainerResource.Target, is)
	}
	return "<unknown type>"
}

// valueCell is for metrics with a value or an average.
func valueCell(target autoscalingv2.MetricTarget, is *autoscalingv2.MetricValueStatus) string {
	current := "<unknown>"
	if target.AverageValue != nil {
		if is != nil && is.AverageValue != nil {
			current = is.AverageValue.String()
		}
		return fmt.Sprintf("%s/%s (avg)", current, target.AverageValue)
	}
	if is != nil {
		current = quantity(is.Value)
	}
	return current + "/" + quantity(target.Value)
}

// usageCell is for metrics of resources, with an average or a percentage.
func usageCell(target autoscalingv2.MetricTarget, is *autoscalingv2.MetricValueStatus) string {
	current := "<unknown>"
	if target.AverageValue != nil {
		if is != nil {
			current = quantity(is.AverageValue)
		}
		return current + "/" + target.AverageValue.String()
	}
	if is != nil && is.AverageUtilization != nil {
		current = itoa(*is.AverageUtilization) + "%"
	}
	goal := "<auto>"
	if target.AverageUtilization != nil {
		goal = itoa(*target.AverageUtilization) + "%"
	}
	return current + "/" + goal
}

func quantity(q *resource.Quantity) string {
	if q == nil {
		return "<nil>"
	}
	return q.String()
}
