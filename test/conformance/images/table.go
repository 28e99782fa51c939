package images

// image is one image that the suite names: its layers, the top one last, and its configuration.
type image struct {
	ref    string
	layers []string
	config config
}

// config is the part of the OCI image configuration that containers are started from.
type config struct {
	User         string              `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	Entrypoint   []string            `json:",omitempty"`
	Cmd          []string            `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
	StopSignal   string              `json:",omitempty"`
}

const e2e = "registry.k8s.io/e2e-test-images/"

// table lists every image that a [Conformance] test of Kubernetes v1.37.2 runs. They are stand-ins made of the same
// programs: the previous agnhost is this one under its old tag, both nginx are Debian's, hostpathplugin only relays.
var table = []image{
	{e2e + "agnhost:2.66.1", []string{"base", "agnhost"}, agnhost("pause", "")},
	{e2e + "agnhost:2.55", []string{"base", "agnhost"}, agnhost("pause", "previous")},
	{e2e + "kitten:1.8", []string{"base", "agnhost", "kitten"}, agnhost("test-webserver", "")},
	{e2e + "nautilus:1.8", []string{"base", "agnhost", "nautilus"}, agnhost("test-webserver", "")},
	{e2e + "busybox:1.37.0-2", []string{"busybox"}, config{Cmd: []string{"sh"}}},
	{e2e + "nginx:1.27.0-2", []string{"base", "nginx"}, nginx("1.27")},
	{e2e + "nginx:1.28.0-2", []string{"base", "nginx"}, nginx("1.28")},
	{e2e + "glibc-dns-testing:2.1.1", []string{"base"}, config{Cmd: []string{"bash"}}},
	{e2e + "nonroot:1.5", []string{"base"}, config{User: "1234", Cmd: []string{"/bin/sh"}}},
	{e2e + "perl:5.26", []string{"base", "perl"}, config{Cmd: []string{"perl", "-de0"}}},
	{e2e + "sample-apiserver:1.29.2", []string{"busybox", "sample-apiserver"}, config{Entrypoint: []string{"/sample-apiserver"}}},
	{e2e + "ipc-utils:1.4", []string{"base"}, config{Cmd: []string{"/bin/sh"}}},
	{e2e + "nonewprivs:1.4", []string{"busybox", "nnp"}, config{Cmd: []string{"nnp"}}},
	{e2e + "regression-issue-74839:1.5", []string{"busybox", "regression-issue-74839"}, config{Entrypoint: []string{"/regression-issue-74839"}}},
	{e2e + "resource-consumer:1.14", []string{"base", "resource-consumer"}, config{Entrypoint: []string{"/consumer"}, ExposedPorts: ports("8080/tcp")}},
	{"registry.k8s.io/etcd:3.7.0-0", []string{"base", "etcd"}, config{Cmd: []string{"etcd"}, ExposedPorts: ports("2379/tcp", "2380/tcp")}},
	{"registry.k8s.io/pause:3.10.2", []string{"pause"}, config{User: "65535:65535", Entrypoint: []string{"/pause"}}},
	{"registry.k8s.io/sig-storage/hostpathplugin:v1.17.1", []string{"busybox", "hostpathplugin"}, config{Entrypoint: []string{"/hostpathplugin"}}},
}

func ports(list ...string) map[string]struct{} {
	m := map[string]struct{}{}
	for _, p := range list {
		m[p] = struct{}{}
	}
	return m
}

// agnhost is the configuration of images around that program; edition tells two of them apart.
func agnhost(verb, edition string) config {
	c := config{Entrypoint: []string{"/agnhost"}, Cmd: []string{verb}, ExposedPorts: ports("80/tcp", "8080/tcp", "8081/tcp", "9376/tcp", "5000/tcp")}
	if edition != "" {
		c.Labels = map[string]string{"edition": edition}
	}
	return c
}

func nginx(version string) config {
	return config{Cmd: []string{"nginx", "-g", "daemon off;"}, ExposedPorts: ports("80/tcp"), StopSignal: "SIGQUIT",
		Env: []string{defaultPath, "NGINX_VERSION=" + version}}
}
