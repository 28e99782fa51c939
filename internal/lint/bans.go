package lint

// A ban forbids a call, written as in the code, outside the listed rooms ("cmd" stands for all programs).
type ban struct {
	call   string
	tests  bool // also in tests
	loops  bool // allowed inside a loop: a wait for what nothing announces, with a deadline
	except []string
	reason string
}

var bans = []ban{
	{call: "time.Sleep", tests: true, loops: true, reason: "wait for an event, or poll with a deadline"},
	{call: "t.Skip", tests: true, reason: "a test that does not run proves nothing"},
	{call: "t.Skipf", tests: true, reason: "a test that does not run proves nothing"},
	{call: "t.SkipNow", tests: true, reason: "a test that does not run proves nothing"},
	{call: "context.TODO", tests: true, reason: "contexts are handed down"},
	{call: "context.Background", except: []string{"cmd", "cluster", "cli"}, reason: "contexts are handed down from the assembly"},
	{call: "os.Exit", except: []string{"cmd", "cli"}, reason: "only a program ends the program"},
	{call: "log.Fatal", tests: true, except: []string{"cmd"}, reason: "only a program ends the program"},
	{call: "log.Printf", reason: "log with the slog.Logger that was handed down"},
	{call: "fmt.Println", except: []string{"cmd", "cli"}, reason: "only programs write to standard output"},
}

// excused are single files that may make one forbidden call, with the reason.
var excused = map[[2]string]string{
	{"internal/store/zapcore.go", "context.Background"}:    "zap's interface has no context to hand down",
	{"internal/shim/supervisor/upgrade.go", "fmt.Println"}: "the self-test of a new binary answers on its standard output",
	{"internal/shim/supervisor/upgrade.go", "os.Exit"}:     "a shim whose keeper is replaced ends as a whole; the new keeper starts the next",
}

// goAllowed are the rooms that may write a bare go statement, with the reason.
var goAllowed = map[string]string{
	"run": "it owns the goroutines of all others",
	"cmd": "small static programs that do not link package run",
}

// initAllowed are the rooms that may have an init function, with the reason.
var initAllowed = map[string]string{
	"cmd": "the container's init must take over before main",
}

// Sizes beyond which a file or function is an error, whatever the reason; style asks for far less.
const (
	maxFileLines     = 700
	maxFunctionLines = 120
)
