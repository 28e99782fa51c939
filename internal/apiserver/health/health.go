package health

import (
	"context"
	"net/http"
	"time"
)

// A Check is one named condition. Check returns nil where all is well; it must obey ctx and answer in milliseconds.
type Check struct {
	Name  string
	Check func(ctx context.Context) error
	Live  bool // part of /livez too, not only of /readyz and /healthz
}

// Handler serves the paths of this package.
type Handler struct{}

// New returns a handler for the checks, which are run in this order.
func New(checks []Check) *Handler { return &Handler{} }

// Serves says whether path belongs to this handler.
func (h *Handler) Serves(path string) bool { return false }

// ServeHTTP answers GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Request is one finished request, with upstream's label values.
type Request struct {
	Verb        string // GET, LIST, WATCH, POST, PUT, PATCH, APPLY, DELETE, DELETECOLLECTION, CONNECT
	Group       string
	Version     string
	Resource    string
	Subresource string
	Scope       string // "resource", "namespace", "cluster" or ""
	Component   string // "apiserver"
	DryRun      string
	Code        int
	Bytes       int // written to the client
	Took        time.Duration
}

// Metrics counts requests under upstream's names.
type Metrics struct{}

// NewMetrics returns metrics registered with the process's registry. It is to be called once a process.
func NewMetrics() *Metrics { return &Metrics{} }

// Observe counts a finished request.
func (m *Metrics) Observe(r Request) {}

// Begin counts a running request until done is called; a watch or exec is "long running".
func (m *Metrics) Begin(verb string, mutating, longRunning bool) (done func()) { return func() {} }
