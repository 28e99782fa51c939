package h2

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// blank lends its emptiness to new requests: WithContext copies it.
var blank http.Request

// newRequest makes the handler's request of a header block, as net/http does. wrong is why it is malformed.
func (st *stream) newRequest(p *pseudo, fields []hpack.HeaderField, ended bool) (wrong string) {
	c := st.c
	r := blank.WithContext(st.ctx)
	r.Method, r.Proto, r.ProtoMajor, r.RemoteAddr = p.method, "HTTP/2.0", 2, c.remote
	if p.scheme == "https" || p.method == http.MethodConnect {
		r.TLS = c.tls
	}
	r.Header = headerOf(fields)
	if r.Host = p.authority; r.Host == "" {
		r.Host = r.Header.Get("Host")
	}
	if strings.IndexByte(r.Host, '@') >= 0 {
		return "user information in the authority"
	}
	if p.method == http.MethodConnect {
		r.URL, r.RequestURI = &url.URL{Host: p.authority}, p.authority
	} else {
		u, err := url.ParseRequestURI(p.path)
		if err != nil {
			return "invalid path"
		}
		r.URL, r.RequestURI = u, p.path
	}
	r.Trailer = declaredTrailer(r.Header)
	if cookies := r.Header["Cookie"]; len(cookies) > 1 {
		r.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	st.req = r
	return st.newBody(ended)
}

// newBody says what of a body is to come.
func (st *stream) newBody(ended bool) (wrong string) {
	r := st.req
	if ended {
		r.Body = http.NoBody
		return ""
	}
	b := &st.body
	b.ready.L = &st.c.mu
	r.Body, r.ContentLength = b, -1
	if v := r.Header["Content-Length"]; len(v) > 0 {
		n, err := strconv.ParseUint(v[0], 10, 63)
		if err != nil || len(v) > 1 {
			return "invalid Content-Length"
		}
		r.ContentLength = int64(n)
	}
	b.left = r.ContentLength
	if e := r.Header["Expect"]; e != nil && httpguts.HeaderValuesContainsToken(e, "100-continue") {
		delete(r.Header, "Expect")
		b.expects = true
	}
	return ""
}

// headerOf makes net/http's map; its values share one array.
func headerOf(fields []hpack.HeaderField) http.Header {
	h := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for i, f := range fields {
		name := canonicalName(f.Name)
		if had, ok := h[name]; ok {
			h[name] = append(had, f.Value)
			continue
		}
		values[i] = f.Value
		h[name] = values[i : i+1 : i+1]
	}
	return h
}

// declaredTrailer is what a request says will come behind its body.
func declaredTrailer(h http.Header) (t http.Header) {
	for _, v := range h["Trailer"] {
		for _, name := range strings.Split(v, ",") {
			name = http.CanonicalHeaderKey(textproto.TrimString(name))
			switch name {
			case "", "Transfer-Encoding", "Trailer", "Content-Length":
				continue
			}
			if t == nil {
				t = http.Header{}
			}
			t[name] = nil
		}
	}
	delete(h, "Trailer")
	return t
}
