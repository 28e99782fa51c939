package lint

// rooms lists, for each room under internal/, the rooms that it may import; a room covers the packages below it. The
// order is the order of the house: ground first. A room that is not listed may not exist.
var rooms = []struct {
	name string
	may  []string
}{
	{"run", nil},
	{"failpoint", nil},
	{"lint", nil},
	{"cri", nil},
	{"pki", nil},
	{"shim", []string{"run"}},
	{"api", nil},
	{"store", []string{"run"}},
	{"client", []string{"run"}},
	{"image", []string{"run"}},
	{"network", []string{"run"}},
	{"cache", []string{"run", "store"}},
	{"apiserver", []string{"run", "api", "store", "cache", "pki"}},
	{"control", []string{"run", "client"}},
	{"controllers", []string{"run", "client", "control"}},
	{"scheduler", []string{"run", "client", "control"}},
	{"proxy", []string{"run", "client", "control"}},
	{"dns", []string{"run", "client", "control"}},
	{"kubelet", []string{"run", "failpoint", "client", "control", "cri"}},
	{"runtime", []string{"run", "failpoint", "cri", "shim", "image", "network"}},
	{"cluster", []string{"*"}},
	{"cli", []string{"run", "client", "cluster", "image", "pki"}},
}

// onlyImporters names rooms that may be imported by these rooms alone, whatever rooms says.
var onlyImporters = map[string][]string{
	"store": {"cache", "apiserver", "cluster"},
	"cache": {"apiserver"},
}
