// Package conformance is the Kubernetes end-to-end suite, taken as an ordinary dependency and compiled as a test binary of
// this module. Importing a package of tests registers them. The command conformance builds and runs it against a fresh
// Minato cluster; `go test` alone, without a cluster, is of no use here.
package conformance

import (
	"context"
	"flag"
	"log"
	"os"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	conformancedata "k8s.io/kubernetes/test/conformance/testdata"
	"k8s.io/kubernetes/test/e2e"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	"k8s.io/kubernetes/test/e2e/framework/testfiles"
	"k8s.io/kubernetes/test/e2e/invariants/logcheck"
	manifests "k8s.io/kubernetes/test/e2e/testing-manifests"
	fixtures "k8s.io/kubernetes/test/fixtures"

	_ "k8s.io/kubernetes/test/e2e/apimachinery"
	_ "k8s.io/kubernetes/test/e2e/apps"
	_ "k8s.io/kubernetes/test/e2e/architecture"
	_ "k8s.io/kubernetes/test/e2e/auth"
	_ "k8s.io/kubernetes/test/e2e/common"
	_ "k8s.io/kubernetes/test/e2e/dra"
	_ "k8s.io/kubernetes/test/e2e/feature"
	_ "k8s.io/kubernetes/test/e2e/framework/debug/init"
	_ "k8s.io/kubernetes/test/e2e/framework/metrics/init"
	_ "k8s.io/kubernetes/test/e2e/framework/node/init"
	_ "k8s.io/kubernetes/test/e2e/instrumentation"
	_ "k8s.io/kubernetes/test/e2e/invariants"
	_ "k8s.io/kubernetes/test/e2e/kubectl"
	_ "k8s.io/kubernetes/test/e2e/network"
	_ "k8s.io/kubernetes/test/e2e/node"
	_ "k8s.io/kubernetes/test/e2e/scheduling"
	_ "k8s.io/kubernetes/test/e2e/storage"
	_ "k8s.io/kubernetes/test/e2e/storage/csimock"
	_ "k8s.io/kubernetes/test/e2e/storage/external"
	_ "k8s.io/kubernetes/test/utils/ktesting/format"
)

// TestMain registers the suite's flags and the files that its tests read, all of them embedded in the modules. It cannot be
// left to the suite, whose own main lies in a test file.
func TestMain(m *testing.M) {
	flags := flag.CommandLine
	config.CopyFlags(config.Flags, flags)
	framework.RegisterCommonFlags(flags)
	framework.RegisterClusterFlags(flags)
	logcheck.RegisterFlags(flags)
	flag.Parse()
	if rest := flag.Args(); len(rest) > 0 {
		log.Fatalf("conformance: unexpected arguments %q", rest)
	}
	for _, files := range []testfiles.FileSource{
		manifests.GetE2ETestingManifestsFS(), fixtures.GetTestFixturesFS(), conformancedata.GetConformanceTestdataFS(),
	} {
		testfiles.AddFileSource(files)
	}
	framework.AfterReadingAllFlags(&framework.TestContext)
	os.Exit(m.Run())
}

// TestE2E is the whole suite; what to run is said by ginkgo's flags.
func TestE2E(t *testing.T) { e2e.RunE2ETests(t) }

// init bounds every test by $CONFORMANCE_TEST_LIMIT (a Go duration), for which ginkgo has no flag: one test that waits for
// what a cluster never does must not eat the time of the run. It has to happen before the tests register themselves in
// full, so before main.
func init() {
	limit, err := time.ParseDuration(os.Getenv("CONFORMANCE_TEST_LIMIT"))
	if err != nil || limit <= 0 {
		return
	}
	ginkgo.AddTreeConstructionNodeArgsTransformer(func(nt types.NodeType, _ ginkgo.Offset, text string, args []any) (string, []any, []error) {
		if nt == types.NodeTypeIt && interruptible(args) {
			args = append(args, ginkgo.SpecTimeout(limit))
		}
		return text, args, nil
	})
}

// interruptible says whether a test takes a context (ginkgo refuses limits on others) and has no limit of its own.
func interruptible(args []any) bool {
	ok := false
	for _, a := range args {
		switch x := a.(type) {
		case ginkgo.SpecTimeout, ginkgo.NodeTimeout:
			return false
		case []any:
			ok = ok || interruptible(x)
		case func(context.Context), func(ginkgo.SpecContext):
			ok = true
		}
	}
	return ok
}
