package cri

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	api "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// registry is what serveImages serves: the repository lib/box with two tags, and lib/secret for who has a password.
type registry struct {
	host   string
	digest map[string]string // of each tag
}

// registries are those of the sides, by the side's name.
var registries = map[string]*registry{}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

// serveImages starts a registry on the loopback of a side.
func serveImages(t *testing.T, s *side, l blob) {
	reg := &registry{digest: map[string]string{}}
	blobs, types := map[string][]byte{l.digest: l.data}, map[string]string{}
	for tag, user := range map[string]string{"one": "", "two": "1000"} {
		c := imageConfig(t, l, user, map[string]string{"tag": tag})
		m := newBlob(encode(t, map[string]any{"schemaVersion": 2, "mediaType": manifestType,
			"config": map[string]any{"mediaType": configType, "digest": c.digest, "size": len(c.data)},
			"layers": []any{map[string]any{"mediaType": layerType, "digest": l.digest, "size": len(l.data)}}}))
		blobs[c.digest], blobs[m.digest], types[m.digest] = c.data, m.data, manifestType
		reg.digest[tag] = m.digest
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if user, password, _ := q.BasicAuth(); strings.HasPrefix(q.URL.Path, "/v2/lib/secret/") && (user != "sailor" || password != "ahoy") {
			w.Header().Set("WWW-Authenticate", `Basic realm="harbour"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		ref := path.Base(q.URL.Path)
		if d, ok := reg.digest[ref]; ok {
			ref = d
		}
		data, ok := blobs[ref]
		switch {
		case q.URL.Path == "/v2/":
			return
		case !ok || !strings.HasPrefix(q.URL.Path, "/v2/lib/box/") && !strings.HasPrefix(q.URL.Path, "/v2/lib/secret/"):
			http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`, http.StatusNotFound)
			return
		}
		if kind := types[ref]; kind != "" {
			w.Header().Set("Content-Type", kind)
		} else {
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		w.Header().Set("Docker-Content-Digest", ref)
		http.ServeContent(w, q, "", time.Time{}, strings.NewReader(string(data)))
	})
	listener, err := s.listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reg.host = listener.Addr().String()
	registries[s.name] = reg
	server := &http.Server{Handler: handler}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })
}

func (r *run) registry() *registry { return registries[r.name] }

func (r *run) pull(ref string, auth *api.AuthConfig) string {
	p, err := r.PullImage(r.ctx, &api.PullImageRequest{Image: &api.ImageSpec{Image: ref}, Auth: auth})
	r.must("pull", err)
	return p.ImageRef
}

func (r *run) image(ref string) *api.Image {
	st, err := r.ImageStatus(r.ctx, &api.ImageStatusRequest{Image: &api.ImageSpec{Image: ref}})
	r.must("image status", err)
	return st.Image
}

func (r *run) removeImage(ref string) {
	_, err := r.RemoveImage(r.ctx, &api.RemoveImageRequest{Image: &api.ImageSpec{Image: ref}})
	r.code("remove", err)
}

// plain takes out of names what differs from run to run.
func (r *run) plain(names []string) []string {
	var out []string
	for _, n := range names {
		n = strings.ReplaceAll(n, r.registry().host, "REGISTRY")
		for tag, d := range r.registry().digest {
			n = strings.ReplaceAll(n, d, "DIGEST-"+tag)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

var images = []check{
	{"what is here", func(r *run) {
		l, err := r.ListImages(r.ctx, &api.ListImagesRequest{})
		r.must("list", err)
		found := map[string]*api.Image{}
		for _, i := range l.Images {
			for _, n := range i.RepoTags {
				found[n] = i
			}
		}
		for _, n := range []string{toolbox, userless, numbered} {
			i := found[n]
			r.say("%s: %t, size %t, user %v %q", n, strings.HasPrefix(i.GetId(), "sha256:"), i.GetSize() > 0, i.GetUid().GetValue(), i.GetUsername())
		}
	}, `
docker.io/library/toolbox:1: true, size true, user 0 ""
docker.io/library/named:1: true, size true, user 0 "web"
docker.io/library/number:1: true, size true, user 1000 ""
`},
	{"names for one image", func(r *run) {
		id := r.image(toolbox).Id
		for _, n := range []string{"toolbox:1", "library/toolbox:1", "docker.io/toolbox:1", id, strings.TrimPrefix(id, "sha256:"), strings.TrimPrefix(id, "sha256:")[:12]} {
			i := r.image(n)
			r.say("%t", i.GetId() == id)
		}
	}, "true\ntrue\ntrue\ntrue\ntrue\ntrue\n"},
	{"an image that is not here", func(r *run) {
		r.say("%t", r.image("docker.io/library/none:1") == nil)
		r.removeImage("docker.io/library/none:1")
		l, err := r.ListImages(r.ctx, &api.ListImagesRequest{Filter: &api.ImageFilter{Image: &api.ImageSpec{Image: "docker.io/library/none:1"}}})
		r.must("list", err)
		r.say("%d", len(l.Images))
	}, "true\nremove: OK\n0\n"},
	{"filter", func(r *run) {
		l, err := r.ListImages(r.ctx, &api.ListImagesRequest{Filter: &api.ImageFilter{Image: &api.ImageSpec{Image: toolbox}}})
		r.must("list", err)
		var names []string
		for _, i := range l.Images {
			names = append(names, i.RepoTags...)
		}
		slices.Sort(names)
		r.say("%v", names)
	}, "[docker.io/library/toolbox:1]\n"},
	{"in many words", func(r *run) {
		st, err := r.ImageStatus(r.ctx, &api.ImageStatusRequest{Image: &api.ImageSpec{Image: toolbox}, Verbose: true})
		r.must("status", err)
		r.say("%t", strings.Contains(st.Info["info"], "imageSpec"))
	}, "true\n"},
	{"pull by tag", func(r *run) {
		ref := r.registry().host + "/lib/box:one"
		id := r.pull(ref, nil)
		i := r.image(ref)
		r.say("id %t, tags %v, digests %v, user %d %q", i.GetId() == id, r.plain(i.GetRepoTags()), r.plain(i.GetRepoDigests()), i.GetUid().GetValue(), i.GetUsername())
		r.say("again %t", r.pull(ref, nil) == id)
		r.say("by id %t", r.image(id).GetId() == id)
		r.removeImage(ref)
		r.say("gone %t", r.image(ref) == nil)
		r.removeImage(ref)
	}, `
id true, tags [REGISTRY/lib/box:one], digests [REGISTRY/lib/box@DIGEST-one], user 0 ""
again true
by id true
remove: OK
gone true
remove: OK
`},
	{"pull by digest", func(r *run) {
		ref := r.registry().host + "/lib/box@" + r.registry().digest["two"]
		id := r.pull(ref, nil)
		i := r.image(ref)
		r.say("id %t, tags %v, digests %v, user %d", i.GetId() == id, r.plain(i.GetRepoTags()), r.plain(i.GetRepoDigests()), i.GetUid().GetValue())
		r.removeImage(id)
		r.say("gone %t", r.image(ref) == nil)
	}, "id true, tags [], digests [REGISTRY/lib/box@DIGEST-two], user 1000\nremove: OK\ngone true\n"},
	{"two names of one image", func(r *run) {
		tag, digest := r.registry().host+"/lib/box:two", r.registry().host+"/lib/box@"+r.registry().digest["two"]
		id := r.pull(tag, nil)
		r.say("same %t", r.pull(digest, nil) == id)
		i := r.image(id)
		r.say("%v %v", r.plain(i.GetRepoTags()), r.plain(i.GetRepoDigests()))
		r.removeImage(id)
		r.say("gone %t %t", r.image(tag) == nil, r.image(digest) == nil)
	}, "same true\n[REGISTRY/lib/box:two] [REGISTRY/lib/box@DIGEST-two]\nremove: OK\ngone true true\n"},
	{"what cannot be pulled", func(r *run) {
		for _, ref := range []string{"/lib/box:none", "/lib/none:one", "/lib/secret:one", "/lib/box@sha256:" + strings.Repeat("0", 64)} {
			_, err := r.PullImage(r.ctx, &api.PullImageRequest{Image: &api.ImageSpec{Image: r.registry().host + ref}})
			r.refused(ref, err)
		}
		_, err := r.PullImage(r.ctx, &api.PullImageRequest{Image: &api.ImageSpec{Image: "127.0.0.1:1/lib/box:one"}})
		r.refused("from nobody", err)
		_, err = r.PullImage(r.ctx, &api.PullImageRequest{Image: &api.ImageSpec{Image: "Not A Name"}})
		r.refused("not a name", err)
		_, err = r.PullImage(r.ctx, &api.PullImageRequest{})
		r.refused("nothing", err)
	}, fmt.Sprintf(`
/lib/box:none: refused
/lib/none:one: refused
/lib/secret:one: refused
/lib/box@sha256:%s: refused
from nobody: refused
not a name: refused
nothing: refused
`, strings.Repeat("0", 64))},
	{"with a password", func(r *run) {
		ref := r.registry().host + "/lib/secret:one"
		_, err := r.PullImage(r.ctx, &api.PullImageRequest{Image: &api.ImageSpec{Image: ref}, Auth: &api.AuthConfig{Username: "sailor", Password: "wrong"}})
		r.refused("a wrong one", err)
		r.say("%t", r.pull(ref, &api.AuthConfig{Username: "sailor", Password: "ahoy"}) != "")
		r.removeImage(ref)
		r.say("%t", r.pull(ref, &api.AuthConfig{Auth: "c2FpbG9yOmFob3k="}) != "")
		r.removeImage(ref)
	}, "a wrong one: refused\ntrue\nremove: OK\ntrue\nremove: OK\n"},
	{"run what was pulled", func(r *run) {
		ref := r.registry().host + "/lib/box:two"
		r.pull(ref, nil)
		r.sh("id -u", func(c *api.ContainerConfig) { c.Image.Image = ref })
		_, err := r.RemoveImage(r.ctx, &api.RemoveImageRequest{Image: &api.ImageSpec{Image: ref}})
		r.refused("remove in use", err)
		_, err = r.RemoveContainer(r.ctx, &api.RemoveContainerRequest{ContainerId: r.made[0]})
		r.must("remove", err)
		r.removeImage(ref)
	}, "1000\nremove in use: refused\nremove: OK\n"},
	{"space", func(r *run) {
		f, err := r.ImageFsInfo(r.ctx, &api.ImageFsInfoRequest{})
		r.must("space", err)
		r.say("of containers %t", len(f.ContainerFilesystems) == 1)
		for _, u := range f.ImageFilesystems {
			r.say("place %t, bytes %t, inodes %t, time %t", u.GetFsId().GetMountpoint() != "", u.GetUsedBytes() != nil, u.GetInodesUsed() != nil, u.GetTimestamp() > 0)
		}
	}, "of containers true\nplace true, bytes true, inodes true, time true\n"},
}
