package apiserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// A mode is one right by which a user may act as another. Constrained modes ask for two rights: to do this verb as another
// (impersonate-on:<mode>:<verb>) and to be this other (impersonate:<mode>); the oldest, whose name is "", asks for the
// second alone, and gives everything that the other may.
type mode struct {
	name string
	fits func(wanted, by user.Info) bool
}

// modes are in the order in which they are tried.
var modes = []mode{
	{"associated-node", func(wanted, by user.Info) bool {
		node, ok := nodeOf(wanted.GetName())
		_, _, err := serviceaccount.SplitUsername(by.GetName())
		own := by.GetExtra()[serviceaccount.NodeNameKey]
		return ok && nameOnly(wanted) && err == nil && len(own) == 1 && own[0] == node
	}},
	{"arbitrary-node", func(wanted, _ user.Info) bool {
		_, ok := nodeOf(wanted.GetName())
		return ok && nameOnly(wanted)
	}},
	{"serviceaccount", func(wanted, _ user.Info) bool {
		_, _, err := serviceaccount.SplitUsername(wanted.GetName())
		return err == nil && nameOnly(wanted)
	}},
	{"user-info", func(wanted, _ user.Info) bool {
		_, node := nodeOf(wanted.GetName())
		_, _, err := serviceaccount.SplitUsername(wanted.GetName())
		return !node && err != nil
	}},
	{"", func(_, _ user.Info) bool { return true }},
}

// manyQuestions is from how many on it is asked first whether a user may be everything.
const manyQuestions = 4

// rememberedModes bounds impersonations.
const rememberedModes = 10_000

// impersonations remembers which mode has served a user last: it is tried first, so that those with the oldest right
// alone, and they are the most, do not pay for the others.
type impersonations struct {
	mu   sync.Mutex
	last map[string]int
}

func (i *impersonations) of(name string) (int, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at, ok := i.last[name]
	return at, ok
}

func (i *impersonations) remember(name string, at int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last == nil || len(i.last) >= rememberedModes {
		i.last = map[string]int{}
	}
	i.last[name] = at
}

// become returns the user that attrs' user acts as, or a Forbidden error: that of the mode that was tried first.
func (i *impersonations) become(ctx context.Context, a authorizer.UnconditionalAuthorizer, wanted *user.DefaultInfo, attrs *authorizer.AttributesRecord) (user.Info, error) {
	by := attrs.User
	last, known := i.of(by.GetName())
	order := []int{}
	if known {
		order = append(order, last)
	}
	for at := range modes {
		if !known || at != last {
			order = append(order, at)
		}
	}
	var refused error
	for _, at := range order {
		if !modes[at].fits(wanted, by) {
			continue
		}
		acted, err := modes[at].become(ctx, a, wanted, attrs)
		if err == nil {
			i.remember(by.GetName(), at)
			return acted, nil
		}
		if refused == nil {
			refused = err
		}
	}
	return nil, refused
}

// become asks everything that this mode asks.
func (m mode) become(ctx context.Context, a authorizer.UnconditionalAuthorizer, wanted *user.DefaultInfo, attrs *authorizer.AttributesRecord) (user.Info, error) {
	q := question{ctx: ctx, a: a, by: attrs.User, group: "authentication.k8s.io", verb: "impersonate:" + m.name}
	if m.name == "" {
		q.group, q.verb, q.anything = "", "impersonate", true
	} else {
		if m.name == "associated-node" {
			q.by, q.anyNode = withoutBinding{attrs.User}, true
		}
		on := *attrs
		on.User, on.Verb = q.by, "impersonate-on:"+m.name+":"+attrs.Verb
		if err := q.ask(&on); err != nil {
			return nil, err
		}
	}
	return q.user(wanted)
}

// A question is asked of the authorizer for each thing that a user wants to be.
type question struct {
	ctx      context.Context
	a        authorizer.UnconditionalAuthorizer
	by       user.Info
	group    string // of users and groups
	verb     string
	anything bool // the oldest mode, which has no further rules
	anyNode  bool // one node stands for all
}

// user is what wanted becomes when all is allowed.
func (q *question) user(wanted *user.DefaultInfo) (user.Info, error) {
	acted := *wanted
	record := q.of("users", wanted.Name)
	if node, ok := nodeOf(wanted.Name); ok && !q.anything {
		record = q.of("nodes", node)
		if q.anyNode {
			record.Name = "*"
		}
		acted.Groups = []string{user.NodesGroup}
	}
	if ns, name, err := serviceaccount.SplitUsername(wanted.Name); err == nil {
		record = q.of("serviceaccounts", name)
		record.Namespace = ns
		if len(wanted.Groups) == 0 {
			acted.Groups = serviceaccount.MakeGroupNames(ns)
		}
	}
	if err := q.ask(record); err != nil {
		return nil, err
	}
	if wanted.UID != "" {
		uid := q.of("uids", wanted.UID)
		uid.APIGroup = "authentication.k8s.io"
		if err := q.ask(uid); err != nil {
			return nil, err
		}
	}
	if err := q.groups(wanted.Groups); err != nil {
		return nil, err
	}
	if err := q.extra(wanted.Extra); err != nil {
		return nil, err
	}
	acted.Groups = withStanding(acted.Name, acted.Groups)
	return &acted, nil
}

func (q *question) of(resource, name string) *authorizer.AttributesRecord {
	return &authorizer.AttributesRecord{User: q.by, Verb: q.verb, ResourceRequest: true, APIGroup: q.group, APIVersion: "v1", Resource: resource, Name: name}
}

// ask returns the refusal, or nil.
func (q *question) ask(a *authorizer.AttributesRecord) error {
	decision, reason, err := q.a.Authorize(q.ctx, a)
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil && reason != "":
		reason = fmt.Sprintf("%v: %s", err, reason)
	case err != nil:
		reason = err.Error()
	}
	return forbidden(a, reason)
}

func (q *question) groups(groups []string) error {
	record := q.of("groups", "")
	if !q.anything {
		if slices.Contains(groups, "") {
			return forbidden(record, "impersonating the empty string group is not allowed")
		}
		if slices.Contains(groups, user.SystemPrivilegedGroup) {
			record.Name = user.SystemPrivilegedGroup
			return forbidden(record, "impersonating the system:masters group is not allowed")
		}
		if record.Name = "*"; len(groups) >= manyQuestions && q.ask(record) == nil {
			return nil
		}
	}
	for _, record.Name = range groups {
		if err := q.ask(record); err != nil {
			return err
		}
	}
	return nil
}

func (q *question) extra(extra map[string][]string) error {
	record := q.of("userextras", "")
	record.APIGroup = "authentication.k8s.io"
	if !q.anything {
		if err := validExtra(extra); err != nil {
			return forbidden(record, err.Error())
		}
		values := 0
		for _, v := range extra {
			values += len(v)
		}
		if record.Subresource, record.Name = "*", "*"; max(values, len(extra)) >= manyQuestions && q.ask(record) == nil {
			return nil
		}
	}
	for _, record.Subresource = range slices.Sorted(maps.Keys(extra)) {
		for _, record.Name = range extra[record.Subresource] {
			if err := q.ask(record); err != nil {
				return err
			}
		}
	}
	return nil
}

// validExtra holds what is known of a user to forms that no authorizer can mistake.
func validExtra(extra map[string][]string) error {
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		switch values := extra[key]; {
		case key == "":
			return errors.New("impersonating the empty string key in extra is not allowed")
		case utilvalidation.IsDomainPrefixedPath(field.NewPath("extra", "key"), key).ToAggregate() != nil:
			return fmt.Errorf("impersonating an invalid key in extra is not allowed: %w", utilvalidation.IsDomainPrefixedPath(field.NewPath("extra", "key"), key).ToAggregate())
		case key != strings.ToLower(key):
			return fmt.Errorf("impersonating a non-lowercase key in extra is not allowed: %q", key)
		case len(values) == 0:
			return errors.New("impersonating empty values in extra is not allowed")
		case slices.Contains(values, ""):
			return errors.New("impersonating the empty string value in extra is not allowed")
		}
	}
	return nil
}

// withoutBinding is a service account of which authorizers see only the names of what its token says: which node it is
// bound to has been checked already.
type withoutBinding struct{ user.Info }

// GetExtra implements user.Info.
func (u withoutBinding) GetExtra() map[string][]string {
	return map[string][]string{"authentication.kubernetes.io/associated-node-keys": slices.Sorted(maps.Keys(u.Info.GetExtra()))}
}

// nodeOf is the node whose user this is.
func nodeOf(name string) (string, bool) {
	node, ok := strings.CutPrefix(name, "system:node:")
	return node, ok && len(validation.NameIsDNSSubdomain(node, false)) == 0
}

func nameOnly(u user.Info) bool {
	return u.GetUID() == "" && len(u.GetGroups()) == 0 && len(u.GetExtra()) == 0
}

// withStanding adds the group of all who are, or are not, authenticated.
func withStanding(name string, groups []string) []string {
	standing := user.AllAuthenticated
	switch {
	case name == user.Anonymous:
		standing = user.AllUnauthenticated
	case slices.Contains(groups, user.AllUnauthenticated):
		return groups
	}
	if slices.Contains(groups, standing) {
		return groups
	}
	return append(slices.Clone(groups), standing)
}
