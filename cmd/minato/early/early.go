// Package early lets `minato image build` become its helper before the rest of the program has started: what the others need
// to be initialised costs 25 ms of CPU and 3,000 page faults, a third of a build that finds everything in its cache.
//
// It must import nothing but syscall. Go initialises packages as soon as what they import is initialised, by their paths, so
// it comes before all that stands on os or fmt. An earlier build of the same program has left a record (cluster.Builder) of
// helper and place; whenever anything is not as recorded, nothing happens here, and the program goes its usual way. So does
// the helper, by Whole, where the command line is not plain.
package early

import "syscall"

// Whole is the variable that makes the program go its usual way.
const Whole = "MINATO_WHOLE"

const (
	dataVariable = "MINATO_DATA_DIR"
	defaultData  = "/var/lib/minato"
	record       = "/bin/builder"
	self         = "/proc/self/exe"
)

func init() { hand() }

// hand executes the helper, if all is as an earlier build has left it.
func hand() {
	args := split(read("/proc/self/cmdline"), 0)
	if len(args) < 4 || args[1] != "image" || args[2] != "build" {
		return
	}
	if _, whole := syscall.Getenv(Whole); whole {
		return
	}
	data, _ := syscall.Getenv(dataVariable)
	if data == "" {
		data = defaultData
	}
	if !own(data + record) { // a directory that the environment names may be anybody's
		return
	}
	lines := split(read(data+record), '\n')
	if len(lines) < 3 || lines[0] != identity() || !own(lines[1]) {
		return
	}
	// An error leaves everything as it is.
	_ = syscall.Exec(lines[1], append([]string{"minato-build", "early", data + record}, args[3:]...), syscall.Environ())
}

// identity is that of the program file, as cluster.Builder writes it.
func identity() string {
	var st syscall.Stat_t
	if syscall.Stat(self, &st) != nil {
		return ""
	}
	return number(int64(st.Dev)) + " " + number(int64(st.Ino)) + " " + number(st.Size) + " " + number(st.Mtim.Sec) + " " + number(st.Mtim.Nsec)
}

// own says whether a file is this user's, and nobody else's to write.
func own(path string) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil && int(st.Uid) == syscall.Geteuid() && st.Mode&0o022 == 0
}

// read returns the content of a file of up to 64 KB; of any other, nothing.
func read(path string) []byte {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	b := make([]byte, 64<<10)
	n := 0
	for n < len(b) {
		m, err := syscall.Read(fd, b[n:])
		if err != nil {
			return nil
		}
		if m == 0 {
			return b[:n]
		}
		n += m
	}
	return nil
}

// split returns what ends with a separator.
func split(b []byte, separator byte) (out []string) {
	from := 0
	for i, c := range b {
		if c == separator {
			out = append(out, string(b[from:i]))
			from = i + 1
		}
	}
	return out
}

func number(n int64) string {
	var b [20]byte
	i := len(b)
	for u := uint64(n); ; u /= 10 {
		i--
		b[i] = byte('0' + u%10)
		if u < 10 {
			return string(b[i:])
		}
	}
}
