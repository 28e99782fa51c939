package lint

// A grant allows a package of an upstream module whose other packages are forbidden. A trailing "/..." covers the tree.
type grant struct{ path, reason string }

// guarded are the upstream modules of which only granted packages may be imported.
var guarded = []string{"k8s.io/kubernetes", "k8s.io/apiserver", "k8s.io/client-go", "k8s.io/kubelet", "k8s.io/component-base"}

// grants is the whole list of what is taken from the guarded modules.
var grants = []grant{
	{"k8s.io/kubernetes/pkg/apis/...", "defaults, conversion and validation are the definition of the API and must not drift"},
	{"k8s.io/kubernetes/pkg/api/...", "helpers of the same validation (pod templates, warnings, dropped fields)"},
	{"k8s.io/kubernetes/pkg/features", "validation reads these gates"},
	{"k8s.io/kubernetes/pkg/capabilities", "validation of privileged pods reads this switch"},
	{"k8s.io/kubernetes/pkg/serviceaccount", "claims and signing of service account tokens: security code with one right form"},
	{"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac", "the rules of RBAC: four small getters, no informers"},
	{"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy", "upstream's bootstrap roles as data"},
	{"k8s.io/kubernetes/plugin/pkg/auth/authorizer/node", "the graph of the node authorizer, fed from the cache"},

	{"k8s.io/apiserver/pkg/admission", "the errors and the attribute types that piecemeal helpers ask for"},
	{"k8s.io/apiserver/pkg/admission/plugin/cel", "the compiler of policies' expressions: what it takes is the definition of the API"},
	{"k8s.io/apiserver/pkg/apis/...", "wire types"},
	{"k8s.io/apiserver/pkg/authentication/...", "authenticator interfaces, x509, service account claims, token cache"},
	{"k8s.io/apiserver/pkg/authorization/...", "authorizer interfaces"},
	{"k8s.io/apiserver/pkg/audit", "audit context that helpers ask for"},
	{"k8s.io/apiserver/pkg/cel/...", "expression environments of upstream's validation"},
	{"k8s.io/apiserver/pkg/endpoints/request", "request info: the parse of an API path"},
	{"k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager", "managed fields around admission"},
	{"k8s.io/apiserver/pkg/endpoints/responsewriter", "wrapping of a ResponseWriter that keeps its optional powers"},
	{"k8s.io/apiserver/pkg/storage/names", "generated names"},
	{"k8s.io/apiserver/pkg/storage", "the format of continue tokens and of storage errors"},
	{"k8s.io/apiserver/pkg/util/feature", "the gates that validation reads"},
	{"k8s.io/apiserver/pkg/util/compatibility", "the version that the gates are set by"},
	{"k8s.io/apiserver/pkg/warning", "warnings that validation collects"},
	{"k8s.io/apiserver/plugin/pkg/authenticator/token/...", "bootstrap tokens"},

	{"k8s.io/client-go/rest", "transport configuration"},
	{"k8s.io/client-go/rest/watch", "framing of watches"},
	{"k8s.io/client-go/transport/...", "transports"},
	{"k8s.io/client-go/tools/clientcmd", "reading and writing kubeconfig files"},
	{"k8s.io/client-go/tools/clientcmd/api", "reading and writing kubeconfig files"},
	{"k8s.io/client-go/tools/remotecommand", "exec and attach as a client: towards kubelets, and in tests"},
	{"k8s.io/client-go/tools/portforward", "the tunnel of a port-forward, and its client in tests"},
	{"k8s.io/client-go/tools/reference", "object references"},
	{"k8s.io/client-go/util/cert", "certificates"},
	{"k8s.io/client-go/util/keyutil", "keys"},
	{"k8s.io/client-go/util/exec", "exit codes of remote commands"},
	{"k8s.io/client-go/util/jsonpath", "the syntax of field references in the status of policies"},

	{"k8s.io/kubelet/pkg/apis/...", "wire types of /stats/summary and of plugins"},
	{"k8s.io/component-base/version", "the version that clients parse"},
	{"k8s.io/component-base/featuregate", "the gates that validation reads"},
	{"k8s.io/component-base/metrics/...", "Prometheus registry"},
	{"k8s.io/component-base/cli", "the shell around kubectl"},
	{"k8s.io/component-base/logs", "logging flags of kubectl"},
}
