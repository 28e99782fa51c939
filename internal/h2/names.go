package h2

import (
	"net/http"
	"strings"
)

// common are header names in the form of net/http; what is not here is turned into the other form each time.
var common = []string{
	"Accept", "Accept-Encoding", "Accept-Ranges", "Age", "Allow", "Audit-Id", "Authorization", "Cache-Control", "Content-Disposition",
	"Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Date", "Etag", "Expect", "Expires", "Host", "If-Modified-Since",
	"If-None-Match", "Impersonate-Group", "Impersonate-Uid", "Impersonate-User", "Kubectl-Command", "Kubectl-Session", "Last-Modified",
	"Location", "Retry-After", "Server", "Set-Cookie", "Te", "Traceparent", "Trailer", "User-Agent", "Vary", "Warning", "Www-Authenticate",
	"X-Content-Type-Options", "X-Forwarded-For", "X-From-Cache", "X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid",
}

var canonicalOf, lowerOf = byForm()

func byForm() (canonical, lower map[string]string) {
	canonical, lower = make(map[string]string, len(common)), make(map[string]string, len(common))
	for _, name := range common {
		l := strings.ToLower(name)
		canonical[l], lower[name] = name, l
	}
	return canonical, lower
}

// canonicalName is the form of net/http's maps.
func canonicalName(wire string) string {
	if n, ok := canonicalOf[wire]; ok {
		return n
	}
	return http.CanonicalHeaderKey(wire)
}

// wireName is the form of frames.
func wireName(canonical string) string {
	if n, ok := lowerOf[canonical]; ok {
		return n
	}
	return strings.ToLower(canonical)
}
