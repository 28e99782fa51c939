package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// The headers by which a user acts as another.
const (
	impersonateUser  = "Impersonate-User"
	impersonateGroup = "Impersonate-Group"
	impersonateUID   = "Impersonate-Uid"
	impersonateExtra = "Impersonate-Extra-"
)

// impersonate replaces the user by the one that the headers name, where the real one may impersonate all that is named.
func (s *Server) impersonate(w http.ResponseWriter, r *http.Request, u user.Info, attrs *authorizer.AttributesRecord, info *request.RequestInfo) (user.Info, *authorizer.AttributesRecord, bool) {
	wanted, asks, err := impersonation(r.Header, u)
	var bad apierrors.APIStatus
	if errors.As(err, &bad) {
		writeStatus(w, r, err)
		return nil, nil, false
	}
	if err != nil {
		http.Error(w, noSpecials.Replace("Internal Server Error: \""+r.RequestURI+"\": "+err.Error()), http.StatusInternalServerError)
		return nil, nil, false
	}
	if wanted == nil {
		return u, attrs, true
	}
	for _, a := range asks {
		if decision, reason, err := s.sec.Authorizer.Authorize(r.Context(), a); err != nil || decision != authorizer.DecisionAllow {
			refuse(w, r, forbidden(a, reason))
			return nil, nil, false
		}
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Impersonate-") {
			r.Header.Del(name)
		}
	}
	return wanted, attributesOf(wanted, info), true
}

// impersonation reads the headers: the user to become and the questions to ask before. No headers give a nil user.
func impersonation(h http.Header, by user.Info) (user.Info, []authorizer.Attributes, error) {
	name, groups, uid := h.Get(impersonateUser), h[impersonateGroup], h.Get(impersonateUID)
	extra := map[string][]string{}
	for k, v := range h {
		if strings.HasPrefix(k, impersonateExtra) {
			key, err := url.PathUnescape(strings.ToLower(strings.TrimPrefix(k, impersonateExtra)))
			if err != nil {
				return nil, nil, err
			}
			extra[key] = append(extra[key], v...)
		}
	}
	if name == "" {
		if len(groups) > 0 || uid != "" || len(extra) > 0 {
			wanted := &user.DefaultInfo{UID: uid, Groups: groups}
			if len(extra) > 0 {
				wanted.Extra = extra
			}
			return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("requested %#v without impersonating a user name", wanted))
		}
		return nil, nil, nil
	}
	var asks []authorizer.Attributes
	ask := func(group, resource, sub, ns, name string) {
		asks = append(asks, &authorizer.AttributesRecord{User: by, Verb: "impersonate", ResourceRequest: true, APIGroup: group, APIVersion: "v1",
			Resource: resource, Subresource: sub, Namespace: ns, Name: name})
	}
	if ns, account, err := serviceaccount.SplitUsername(name); err == nil {
		ask("", "serviceaccounts", "", ns, account)
		if len(groups) == 0 {
			groups = serviceaccount.MakeGroupNames(ns)
		}
	} else {
		ask("", "users", "", "", name)
	}
	for _, g := range h[impersonateGroup] {
		ask("", "groups", "", "", g)
	}
	for k, vs := range extra {
		for _, v := range vs {
			ask("authentication.k8s.io", "userextras", k, "", v)
		}
	}
	if uid != "" {
		ask("authentication.k8s.io", "uids", "", "", uid)
	}
	return &user.DefaultInfo{Name: name, UID: uid, Groups: withStanding(name, groups), Extra: extra}, asks, nil
}

// withStanding adds the group of all who are, or are not, authenticated.
func withStanding(name string, groups []string) []string {
	groups = append([]string(nil), groups...)
	for _, g := range groups {
		if g == user.AllAuthenticated || g == user.AllUnauthenticated {
			return groups
		}
	}
	if name == user.Anonymous {
		return append(groups, user.AllUnauthenticated)
	}
	return append(groups, user.AllAuthenticated)
}
