package main

import (
	"time"

	"minato.dev/minato/bench/report"
)

func (c *config) rows(r *report.Result, res [2]result) {
	row := func(name string, unit report.Unit, of func(x result) *report.Value) *report.Row {
		r.Add(report.Row{Name: name, Unit: unit, Ours: of(res[0]), Theirs: of(res[1])})
		return &r.Rows[len(r.Rows)-1]
	}
	one := func(d time.Duration) *report.Value {
		if d == 0 {
			return nil
		}
		return report.Just(report.Ms(d)[0])
	}
	first := row("sandbox to running container, p50", report.Millis, func(x result) *report.Value { return report.Median(report.Ms(x.start...)) })
	first.Reach, first.Key = report.Reach{Figure: 25, Ratio: 6}, true
	row("sandbox to running container, p99", report.Millis, func(x result) *report.Value { return report.Quantile(0.99, report.Ms(x.start...)).Bare() })
	row("of it the sandbox, p50", report.Millis, func(x result) *report.Value { return report.Median(report.Ms(x.sandbox...)) })
	row("stop and remove, p50", report.Millis, func(x result) *report.Value { return report.Median(report.Ms(x.end...)) })
	cpu := row("CPU of one pod, started and removed", report.Millis, func(x result) *report.Value { return one(x.cpu) })
	cpu.Reach.Figure, cpu.Key = 25, true
	many := row("pods started and removed, four at a time", report.PerSecond, func(x result) *report.Value {
		if x.perSecond == 0 {
			return nil
		}
		return report.Just(x.perSecond)
	})
	many.More, many.Reach.Figure, many.Key = true, 40, true
	row("`true` in a container, p50", report.Millis, func(x result) *report.Value { return report.Median(report.Ms(x.exec...)) })
	exec := row("CPU of it", report.Millis, func(x result) *report.Value { return one(x.execCPU) })
	exec.Reach.Figure, exec.Key = 5, true
	kernel := func(name string, of func(x result) int64) *report.Row {
		return row(name, report.Megabytes, func(x result) *report.Value {
			if x.idle.kernel <= 0 || x.program <= 0 { // the machine gave back more meanwhile: the control says that nothing was measured
				return nil
			}
			return report.Just(report.MB(of(x)))
		})
	}
	user := row("an idle pod in the runtime's own processes, PSS", report.Megabytes, func(x result) *report.Value {
		if x.idle.kernel == 0 {
			return nil
		}
		return report.Just(report.MB(x.idle.user))
	})
	user.Reach.Figure, user.Key = 0.016, true
	whole := kernel("an idle pod with the kernel's part, without its application", func(x result) int64 { return x.idle.user + x.idle.kernel - x.program })
	whole.Reach.Figure, whole.Key = 0.35, true
	kernel("an idle pod with the kernel's part and its application's", func(x result) int64 { return x.idle.user + x.idle.kernel })
}
