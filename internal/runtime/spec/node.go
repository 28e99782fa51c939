package spec

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"tags.cncf.io/container-device-interface/pkg/cdi"
)

// Node is what of the machine a specification depends on.
type Node struct {
	Capabilities []string // that this process has and so can give, as "CAP_CHOWN"
	CgroupV2     bool
	Hugetlb      bool
	SwapLimit    bool // the memory controller accounts swap
	AppArmor     bool
	SELinux      bool
	OOMScoreAdj  int      // our own: a lower one needs CAP_SYS_RESOURCE
	CDIDirs      []string // where vendors describe their devices; what stands in a later one counts
}

// ThisNode looks at the machine. The cgroup facts are the caller's to fill in.
func ThisNode() (Node, error) {
	have, err := capabilities("/proc/self/status")
	if err != nil {
		return Node{}, err
	}
	adj, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return Node{}, fmt.Errorf("node: %w", err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(adj)))
	if err != nil {
		return Node{}, fmt.Errorf("node: oom_score_adj: %w", err)
	}
	enabled, _ := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	_, selinux := os.Stat("/sys/fs/selinux/enforce")
	return Node{Capabilities: have, OOMScoreAdj: score, AppArmor: strings.HasPrefix(string(enabled), "Y"), SELinux: selinux == nil,
		CDIDirs: cdi.DefaultSpecDirs}, nil
}

// capabilities reads the effective set from a /proc/<pid>/status.
func capabilities(status string) ([]string, error) {
	f, err := os.Open(status)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		hex, ok := strings.CutPrefix(s.Text(), "CapEff:")
		if !ok {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("node: %s: %w", status, err)
		}
		return fromMask(mask), nil
	}
	return nil, fmt.Errorf("node: %s has no CapEff line", status)
}

// names of all capabilities by their number in the kernel.
var names = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

func fromMask(mask uint64) []string {
	var have []string
	for i, n := range names {
		if mask&(1<<i) != 0 {
			have = append(have, n)
		}
	}
	return have
}

func (n Node) has(capability string) bool { return slices.Contains(n.Capabilities, capability) }
