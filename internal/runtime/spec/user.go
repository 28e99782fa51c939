package spec

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"minato.dev/minato/internal/runtime/ledger"
)

// identity decides who the process runs as, out of what the client says, what the image says and the image's accounts.
func (b *build) identity() error {
	who, grp, err := b.wanted()
	if err != nil {
		return err
	}
	accounts, err := b.accounts()
	if err != nil {
		return err
	}
	b.user, err = accounts.resolve(who, grp)
	if err != nil {
		return err
	}
	if err := b.supplement(accounts); err != nil {
		return err
	}
	b.spec.Process.User = specs.User{UID: b.user.UID, GID: b.user.GID, AdditionalGids: b.user.Groups}
	return nil
}

// wanted returns user and group as a name or number each, the group "" where nobody names one.
func (b *build) wanted() (who, grp string, err error) {
	uid, name, gid := b.sec.GetRunAsUser(), b.sec.GetRunAsUsername(), b.sec.GetRunAsGroup()
	if uid != nil && name != "" {
		return "", "", errors.New("run_as_user and run_as_username exclude each other")
	}
	if gid != nil && uid == nil && name == "" {
		return "", "", errors.New("run_as_group is given without run_as_user or run_as_username")
	}
	for what, v := range map[string]*cri.Int64Value{"run_as_user": uid, "run_as_group": gid} {
		if v != nil && (v.Value < 0 || v.Value > math.MaxUint32) {
			return "", "", fmt.Errorf("%s %d is not a user or group number", what, v.Value)
		}
	}
	switch {
	case uid != nil:
		who = strconv.FormatInt(uid.Value, 10)
	case name != "":
		who, grp, _ = strings.Cut(name, ":") // a group's name has no field of its own
	default:
		who, grp, _ = strings.Cut(b.Image.User, ":")
	}
	if gid != nil {
		grp = strconv.FormatInt(gid.Value, 10)
	}
	return who, grp, nil
}

// directory is the accounts of the image.
type directory struct {
	accounts []account
	groups   []group
}

func (b *build) accounts() (directory, error) {
	passwd, err := readInRoot(b.Rootfs, "/etc/passwd")
	if err != nil {
		return directory{}, err
	}
	groups, err := readInRoot(b.Rootfs, "/etc/group")
	if err != nil {
		return directory{}, err
	}
	return directory{parsePasswd(string(passwd)), parseGroup(string(groups))}, nil
}

// resolve turns names into numbers. A number needs no account; where it has one, the account gives the group.
func (d directory) resolve(who, grp string) (ledger.User, error) {
	var u ledger.User
	if who == "" {
		who = "0"
	}
	uid, err := strconv.ParseUint(who, 10, 32)
	numeric := err == nil
	i := slices.IndexFunc(d.accounts, func(a account) bool { return a.name == who || numeric && a.uid == uint32(uid) })
	switch {
	case i >= 0:
		u.UID, u.GID = d.accounts[i].uid, d.accounts[i].gid
	case numeric:
		u.UID = uint32(uid)
	default:
		return u, fmt.Errorf("user %q is not in the image's /etc/passwd", who)
	}
	if grp == "" {
		return u, nil
	}
	gid, err := d.group(grp)
	u.GID = gid
	return u, err
}

func (d directory) group(name string) (uint32, error) {
	for _, g := range d.groups {
		if g.name == name {
			return g.gid, nil
		}
	}
	gid, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group %q is not in the image's /etc/group", name)
	}
	return uint32(gid), nil
}

// of returns the groups that list the account of uid as a member.
func (d directory) of(uid uint32) []uint32 {
	var out []uint32
	for _, a := range d.accounts {
		if a.uid != uid {
			continue
		}
		for _, g := range d.groups {
			if slices.Contains(g.members, a.name) {
				out = append(out, g.gid)
			}
		}
		break
	}
	return out
}

// supplement collects the further groups. The primary one is always among them, so that dropping it takes it away
// from the process altogether. With policy Strict the image's /etc/group has no say.
func (b *build) supplement(d directory) error {
	groups := []uint32{b.user.GID}
	if b.sec.GetSupplementalGroupsPolicy() == cri.SupplementalGroupsPolicy_Merge {
		groups = append(groups, d.of(b.user.UID)...)
	}
	for _, g := range b.sec.GetSupplementalGroups() {
		if g < 0 || g > math.MaxUint32 {
			return fmt.Errorf("supplemental group %d is not a group number", g)
		}
		groups = append(groups, uint32(g))
	}
	slices.Sort(groups)
	b.user.Groups = slices.Compact(groups)
	return nil
}

// Lookup finds out who "USER[:GROUP]", names or numbers, is in the root file system at rootfs, as a container of it would.
func Lookup(rootfs, text string) (ledger.User, error) {
	b := &build{Input: Input{Rootfs: rootfs}}
	d, err := b.accounts()
	if err != nil {
		return ledger.User{}, err
	}
	who, grp, _ := strings.Cut(text, ":")
	u, err := d.resolve(who, grp)
	if err != nil {
		return u, err
	}
	u.Groups = append([]uint32{u.GID}, d.of(u.UID)...)
	slices.Sort(u.Groups)
	u.Groups = slices.Compact(u.Groups)
	return u, nil
}
