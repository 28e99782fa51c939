package lint

// rooms lists, for each room under internal/, the rooms that it may import; a room covers the packages below it. The
// order is the order of the house: ground first. A room that is not listed may not exist.
var rooms = []struct {
	name string
	may  []string
}{
	{"run", nil},
	{"h2", []string{"run"}},
	{"failpoint", nil},
	{"lint", nil},
	{"cri", nil},
	{"pki", nil},
	{"credential", nil},
	{"shim", []string{"run"}},
	{"api", nil},
	{"store", []string{"run"}},
	{"client", []string{"run"}},
	{"image", []string{"run"}},
	{"network", []string{"run"}},
	{"build", []string{"run", "shim", "image"}},
	{"cache", []string{"run", "store"}},
	{"apiserver", []string{"run", "h2", "api", "store", "cache", "pki"}},
	{"control", []string{"run", "client"}},
	{"controllers", []string{"run", "client", "control"}},
	{"scheduler", []string{"run", "client", "control"}},
	{"proxy", []string{"run", "client", "control"}},
	{"dns", []string{"run", "client", "control"}},
	{"kubelet", []string{"run", "failpoint", "credential", "client", "control", "cri"}},
	{"runtime", []string{"run", "failpoint", "cri", "shim", "image", "network"}},
	{"container", []string{"run", "cri", "shim"}},
	{"cluster", []string{"*"}},
	{"cli", []string{"run", "client", "cluster", "container", "credential", "image", "build", "pki", "shim"}},
}

// onlyImporters names rooms that may be imported by these rooms alone, whatever rooms says.
var onlyImporters = map[string][]string{
	"store": {"cache", "apiserver", "cluster"},
	"cache": {"apiserver"},
}

// A confinement keeps a module, or a package of ours, to the directories that may import it, with the reason.
type confinement struct {
	tree   string   // an import path and all below it
	in     []string // directories, and all below them
	reason string
}

// confined holds for tests too.
var confined = []confinement{
	{"github.com/moby/buildkit", []string{"internal/build/kit", "cmd/minato-build"}, "24 MB and a start of 10 ms that only a build may cost: never the agent"},
	{"github.com/tonistiigi", []string{"internal/build/kit", "cmd/minato-build"}, "BuildKit's file transfer"},
	{"minato.dev/minato/internal/build/kit", []string{"internal/build/kit", "cmd/minato-build"}, "it is BuildKit, linked: everybody else runs the helper through internal/build"},
}
