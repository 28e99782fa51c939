package apiserver

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// impersonate replaces the user by the one that the headers name, where the real one may in one of the modes.
func (s *Server) impersonate(w http.ResponseWriter, r *http.Request, u user.Info, attrs *authorizer.AttributesRecord, info *request.RequestInfo) (user.Info, *authorizer.AttributesRecord, bool) {
	wanted, err := impersonated(r.Header)
	if err != nil {
		refuse(w, r, err)
		return nil, nil, false
	}
	if wanted == nil {
		return u, attrs, true
	}
	acted, err := s.impersonations.become(r.Context(), s.sec.Authorizer, wanted, attrs)
	if err != nil {
		refuse(w, r, err)
		return nil, nil, false
	}
	return acted, attributesOf(acted, info), true
}

// impersonated is the user whom the headers name, as they name it; nil where they name none. It takes the headers away:
// nothing behind may treat such a request in its own way.
func impersonated(h http.Header) (*user.DefaultInfo, error) {
	if !slices.ContainsFunc([]string{impersonateUser, impersonateUID, impersonateGroup}, func(name string) bool { return len(h[name]) > 0 }) && !hasExtra(h) {
		return nil, nil
	}
	wanted := &user.DefaultInfo{Name: h.Get(impersonateUser), UID: h.Get(impersonateUID), Groups: h[impersonateGroup]}
	asked := wanted.UID != "" || len(wanted.Groups) > 0
	for name, values := range h {
		key, ok := strings.CutPrefix(name, impersonateExtra)
		if !ok {
			continue
		}
		asked = true
		key = strings.ToLower(key)
		if plain, err := url.PathUnescape(key); err == nil {
			key = plain
		}
		if wanted.Extra == nil {
			wanted.Extra = map[string][]string{}
		}
		wanted.Extra[key] = append(wanted.Extra[key], values...)
	}
	if wanted.Name == "" {
		if asked {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("requested %#v without impersonating a user name", wanted))
		}
		return nil, nil
	}
	for name := range h {
		if name == impersonateUser || name == impersonateUID || name == impersonateGroup || strings.HasPrefix(name, impersonateExtra) {
			delete(h, name)
		}
	}
	return wanted, nil
}

func hasExtra(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, impersonateExtra) {
			return true
		}
	}
	return false
}
