package authn

import (
	"encoding/json"
	"errors"
	"time"
)

// claims are what a service-account token says. Bound tokens fill Kubernetes; legacy ones, made for a Secret, fill the
// Legacy part.
type claims struct {
	Issuer    string      `json:"iss,omitempty"`
	Subject   string      `json:"sub,omitempty"`
	Audience  audiences   `json:"aud,omitempty"`
	Expiry    *moment     `json:"exp,omitempty"`
	NotBefore *moment     `json:"nbf,omitempty"`
	IssuedAt  *moment     `json:"iat,omitempty"`
	ID        string      `json:"jti,omitempty"`
	K8s       *kubeClaims `json:"kubernetes.io,omitempty"`

	LegacyNamespace string `json:"kubernetes.io/serviceaccount/namespace,omitempty"`
	LegacySecret    string `json:"kubernetes.io/serviceaccount/secret.name,omitempty"`
	LegacyName      string `json:"kubernetes.io/serviceaccount/service-account.name,omitempty"`
	LegacyUID       string `json:"kubernetes.io/serviceaccount/service-account.uid,omitempty"`
}

type kubeClaims struct {
	Namespace      string  `json:"namespace,omitempty"`
	ServiceAccount ref     `json:"serviceaccount,omitzero"`
	Pod            *ref    `json:"pod,omitempty"`
	Secret         *ref    `json:"secret,omitempty"`
	Node           *ref    `json:"node,omitempty"`
	WarnAfter      *moment `json:"warnafter,omitempty"`
}

type ref struct {
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// audiences may be written as one string or as a list.
type audiences []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audiences) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// moment is a time in whole seconds since 1970.
type moment time.Time

func at(t time.Time) *moment { m := moment(t); return &m }

// MarshalJSON implements json.Marshaler.
func (m moment) MarshalJSON() ([]byte, error) { return json.Marshal(time.Time(m).Unix()) }

// UnmarshalJSON implements json.Unmarshaler; fractions are cut off.
func (m *moment) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*m = moment(time.Unix(int64(f), 0))
	return nil
}

// leeway is how far clocks may differ.
const leeway = time.Minute

var (
	errExpired   = errors.New("service account token has expired")
	errNotYet    = errors.New("service account token is not valid yet")
	errTooEarly  = errors.New("service account token is issued in the future")
	errBoundGone = errors.New("service account token has been invalidated")
)

// checkTime says whether the token holds at now.
func (c *claims) checkTime(now time.Time) error {
	switch {
	case c.NotBefore != nil && now.Add(leeway).Before(time.Time(*c.NotBefore)):
		return errNotYet
	case c.Expiry != nil && now.Add(-leeway).After(time.Time(*c.Expiry)):
		return errExpired
	case c.IssuedAt != nil && now.Add(leeway).Before(time.Time(*c.IssuedAt)):
		return errTooEarly
	}
	return nil
}

// end is when the token stops holding; far away for one without an end.
func (c *claims) end(now time.Time) time.Time {
	if c.Expiry == nil {
		return now.Add(24 * time.Hour)
	}
	return time.Time(*c.Expiry).Add(leeway)
}
