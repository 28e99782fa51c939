package cri

import api "k8s.io/cri-api/pkg/apis/runtime/v1"

var node = []check{
	{"version", func(r *run) {
		v, err := r.Version(r.ctx, &api.VersionRequest{Version: "v1"})
		r.must("version", err)
		r.say("%s %s, named: %t %t", v.Version, v.RuntimeApiVersion, v.RuntimeName != "", v.RuntimeVersion != "")
	}, "0.1.0 v1, named: true true\n"},
	{"status", func(r *run) {
		s, err := r.Status(r.ctx, &api.StatusRequest{})
		r.must("status", err)
		for _, c := range s.Status.Conditions {
			if c.Type == api.RuntimeReady || c.Type == api.NetworkReady {
				r.say("%s %t %s%s", c.Type, c.Status, c.Reason, c.Message)
			}
		}
		r.say("info %d", len(s.Info))
		r.say("supplemental groups policy %t", s.Features.GetSupplementalGroupsPolicy())
	}, "RuntimeReady true \nNetworkReady true \ninfo 0\nsupplemental groups policy true\n"},
	{"handlers", func(r *run) {
		s, err := r.Status(r.ctx, &api.StatusRequest{})
		r.must("status", err)
		for _, name := range []string{"", "runc"} {
			for _, h := range s.RuntimeHandlers {
				if h.Name == name {
					r.say("%q: recursive read-only %t, user namespaces %t", h.Name, h.Features.GetRecursiveReadOnlyMounts(), h.Features.GetUserNamespaces())
				}
			}
		}
	}, "\"\": recursive read-only true, user namespaces true\n\"runc\": recursive read-only true, user namespaces true\n"},
	{"status in many words", func(r *run) {
		s, err := r.Status(r.ctx, &api.StatusRequest{Verbose: true})
		r.must("status", err)
		r.say("info %t", len(s.Info) > 0)
	}, "info true\n"},
	{"configuration", func(r *run) {
		c, err := r.RuntimeConfig(r.ctx, &api.RuntimeConfigRequest{})
		r.must("config", err)
		r.say("%s", c.GetLinux().GetCgroupDriver())
	}, "CGROUPFS\n"},
	{"pod range", func(r *run) {
		_, err := r.UpdateRuntimeConfig(r.ctx, &api.UpdateRuntimeConfigRequest{RuntimeConfig: &api.RuntimeConfig{NetworkConfig: &api.NetworkConfig{PodCidr: "10.96.1.0/24"}}})
		r.code("update", err)
		_, err = r.UpdateRuntimeConfig(r.ctx, &api.UpdateRuntimeConfigRequest{})
		r.code("nothing", err)
	}, "update: OK\nnothing: OK\n"},
}
