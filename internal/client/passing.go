package client

import (
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// MayPass reports whether a request that failed with err may do better when it is sent again: no answer came, the server
// cannot serve just now (5xx, 429, 408), or it was asked about a state that is over (409, 410). Other answers are refusals of
// the request itself, which will be the same the next time.
func MayPass(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err != nil
	}
	switch code := answer.Status().Code; code {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusConflict, http.StatusGone:
		return true
	default:
		return code >= http.StatusInternalServerError
	}
}
