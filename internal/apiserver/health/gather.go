package health

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// ownFirst gathers our metrics and, of those that libraries have put into the process's registry, the ones whose names we
// do not use ourselves: theirs count nothing, or not what we mean.
type ownFirst struct{ own, others prometheus.Gatherer }

// Gather implements prometheus.Gatherer.
func (g ownFirst) Gather() ([]*dto.MetricFamily, error) {
	own, err := g.own.Gather()
	others, problem := g.others.Gather()
	names := make(map[string]bool, len(own))
	for _, f := range own {
		names[f.GetName()] = true
	}
	others = slices.DeleteFunc(others, func(f *dto.MetricFamily) bool { return names[f.GetName()] })
	all := append(own, others...)
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all, errors.Join(err, problem)
}
