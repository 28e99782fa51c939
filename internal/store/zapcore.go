package store

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// zapCore hands etcd's warnings and errors to slog. What etcd calls information is of no use to a user and is dropped.
// Nor are its warnings about being stopped by us.
type zapCore struct {
	log     *slog.Logger
	closing *atomic.Bool
}

func newZapCore(log *slog.Logger) zapCore { return zapCore{log: log, closing: &atomic.Bool{}} }

func (z zapCore) Enabled(l zapcore.Level) bool {
	return l > zapcore.WarnLevel || l == zapcore.WarnLevel && !z.closing.Load()
}

func (z zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{log: z.log.With(attrs(fields)...), closing: z.closing}
}

// expected are complaints that belong to a healthy start: campaign asks until the membership is applied, and a new member
// has no schema version before its first log entry.
var expected = []string{
	"there are still pending configuration changes to apply",
	"is unpromotable and can not campaign",
	"Failed to detect schema version",
	"failed to update storage version",
	"Failed to detect storage schema version. Please wait till wal snapshot before upgrading cluster.",
}

func isExpected(message string) bool {
	return slices.ContainsFunc(expected, func(e string) bool { return strings.HasSuffix(message, e) })
}

func (z zapCore) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !z.Enabled(e.Level) || isExpected(e.Message) {
		return c
	}
	return c.AddCore(e, z)
}

func (z zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if e.Level > zapcore.WarnLevel {
		level = slog.LevelError
	}
	z.log.Log(context.Background(), level, "etcd: "+e.Message, attrs(fields)...)
	return nil
}

func (z zapCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	out := make([]any, 0, len(fields))
	for _, f := range fields {
		f.AddTo(enc)
	}
	for k, v := range enc.Fields {
		out = append(out, slog.Any(k, v))
	}
	return out
}
