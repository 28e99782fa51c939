# Minato: build, run, test. `make help` lists the targets.

RELEASE  := 0.1.0
DATA     ?= /var/lib/minato
EMBEDDED := internal/cluster/bin
K8S      := v1.37.2

export CGO_ENABLED := 0
# kubectl, nft and others may be outside of a plain PATH; the kubectl that is built here stands in where there is none.
export PATH := $(PATH):/usr/sbin:/sbin:$(CURDIR)/bin
# grpcnotrace: gRPC's trace pages pull in html/template, whose calls by method name keep every exported method of every
# linked type in the program (12 MB with go-cmp's, see third_party/go-cmp).
TAGS     := grpcnotrace
LDFLAGS  := -s -w -X minato.dev/minato/internal/apiserver/health.minatoVersion=$(RELEASE)
KUBECTL_LDFLAGS := -s -w -X k8s.io/component-base/version.gitVersion=$(K8S) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# What the programs and their tests need from Debian. A machine that has all of it is not asked anything.
PACKAGES := gcc:gcc libc6-dev:/usr/include/stdio.h libseccomp-dev:/usr/include/seccomp.h pkg-config:pkg-config nftables:nft iproute2:ip busybox-static:/usr/share/doc/busybox-static docker-registry:docker-registry debootstrap:debootstrap openssl:openssl procps:ps curl:curl containerd:containerd runc:runc crun:crun skopeo:skopeo zstd:zstd xz-utils:xz bzip2:bzip2

.PHONY: deps
deps: ## install missing Debian packages and Go modules
	@missing=""; for p in $(PACKAGES); do \
	  case $${p#*:} in /*) test -e $${p#*:} ;; *) command -v $${p#*:} >/dev/null ;; esac || missing="$$missing $${p%%:*}"; \
	done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
	@go mod download

.PHONY: build
build: embedded ## build bin/minato and bin/kubectl
	go build -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/minato ./cmd/minato
	go build -ldflags '$(KUBECTL_LDFLAGS)' -o bin/kubectl ./cmd/kubectl

# The small programs inside minato. They are packed only when they differ, so that an unchanged build stays cached.
.PHONY: embedded
embedded:
	@mkdir -p bin
	CGO_ENABLED=1 go build -tags 'osusergo netgo seccomp runc_nocriu' -ldflags '-s -w -linkmode external -extldflags -static' -o bin/minato-shim ./cmd/minato-shim
	go build -ldflags '-s -w' -o bin/minato-hello ./cmd/minato-hello
	go build -tags '$(TAGS)' -ldflags '-s -w' -o bin/minato-build ./cmd/minato-build
	@go run ./internal/cluster/pack $(EMBEDDED) bin/minato-shim bin/minato-hello bin/minato-build

.PHONY: up
up: deps build ## start a one-node cluster in the background
	bin/minato up --detach --data-dir $(DATA)

.PHONY: down
down: ## stop it and clean up the machine
	bin/minato down --data-dir $(DATA)

.PHONY: purge
purge: ## stop it and remove its data too
	bin/minato down --purge --data-dir $(DATA)

.PHONY: test
test: deps build test-unit test-race test-script conformance-quick ## everything that CI runs

# Says at the end what failed, where a log that is cut off still has it; the whole is kept in a file.
AGAIN := .ci/again bin/test

# What minato may weigh, stripped: without the builder that is packed in it, and with everything embedded.
MAX_SIZE  := 70000000
MAX_WHOLE := 95000000

.PHONY: check-size
check-size: build ## hold minato to its size
	@whole=$$(stat -c %s bin/minato); builder=$$(stat -c %s $(EMBEDDED)/minato-build.*.zst); size=$$((whole - builder)); \
	test $$size -le $(MAX_SIZE) && test $$whole -le $(MAX_WHOLE) || { \
	  echo "bin/minato has $$size bytes and $$builder for the builder, more than $(MAX_SIZE) or $(MAX_WHOLE) in all."; \
	  echo "What a change drags in: go list -deps ./cmd/minato (or ./cmd/minato-build);"; \
	  echo "what calls methods by name and so keeps all of them: go build -ldflags=-dumpdep ... 2>&1 | grep ReflectMethod"; exit 1; }

.PHONY: test-unit
test-unit: check-size ## laws, tables and stories beside the code
	go vet -tags '$(TAGS)' ./...
	$(AGAIN)/unit.log go test -tags '$(TAGS)' -timeout 15m ./internal/... ./cmd/... ./bench/report ./test/linear ./test/watch

# What is concurrent. The second line imports Kubernetes, which takes long to build for the detector the first time.
RACE := ./internal/run ./internal/h2 ./internal/store/... ./internal/cache/... ./internal/image/... ./internal/shim/... \
	./internal/client ./internal/control ./internal/controllers ./internal/scheduler/... ./internal/kubelet/... ./internal/apiserver

.PHONY: test-race
test-race: ## what is concurrent, under the race detector
	CGO_ENABLED=1 $(AGAIN)/race.log go test -race -tags '$(TAGS)' -timeout 25m $(RACE)

# The root file system of the nginx story. Stories have no network, so it is made before them.
bin/story/nginx:
	@mkdir -p bin/story && rm -rf $@.new
	debootstrap --variant=minbase --include=nginx-light bookworm $@.new >bin/story/debootstrap.log 2>&1 || { tail -20 bin/story/debootstrap.log; exit 1; }
	rm -rf $@.new/var/cache/apt $@.new/var/lib/apt/lists $@.new/usr/share/doc $@.new/usr/share/locale $@.new/usr/share/man
	mv $@.new $@

.PHONY: test-script
test-script: build bin/story/nginx ## whole-program stories with real kubectl, in network namespaces of their own
	$(AGAIN)/script.log go test -tags '$(TAGS)' -count=1 -timeout 30m -skip TestChaos ./test/script

# What the benches need from Debian beside deps, for upstream's side: its network plugins.
BENCH_PACKAGES := containernetworking-plugins:/usr/lib/cni/bridge runc:/usr/sbin/runc git:/usr/bin/git
ONLY ?=

.PHONY: bench
bench: deps build ## measure beside upstream, make bench/results (ONLY=pod,list runs some)
	@missing=""; for p in $(BENCH_PACKAGES); do test -e $${p#*:} || missing="$$missing $${p%%:*}"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
	go build -o bin/bench ./bench/run
	bin/bench -only '$(ONLY)'

# A module of its own too. What it lacks of upstream's is built from Go modules first. Accepted differences stand in
# test/differential/accepted.yaml; SEED names another random sequence.
SEED ?= 1
DIFFERENTIAL := cd test/differential && go vet -mod=mod . && go test -mod=mod -count=1 -timeout 90m

.PHONY: differential
differential: deps build ## put the same requests to ours and to upstream's servers, swap parts and data, and compare
	@test -x /usr/lib/cni/bridge || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends containernetworking-plugins runc >/dev/null
	$(DIFFERENTIAL) . -args -seed $(SEED)

.PHONY: differential-quick
differential-quick: deps build ## the same requests without the bad ones: minutes, once upstream's servers are built
	$(DIFFERENTIAL) -run 'TestDifferential|TestInformers' . -args -seed $(SEED) -only bootstrap,life,sub,admit,random,etcd

.PHONY: chaos
chaos: build ## survival stories at length and at random; CHAOS_SEED=N replays a seed, MINATO_AUTOPSY=DIR keeps what a failed one leaves
	go test -tags '$(TAGS)' -count=1 -timeout 60m -run TestChaos ./test/script
	go test -count=1 -timeout 30m -run TestNothingIsLeft ./internal/runtime -args -pods 1000
	go test -count=1 -timeout 30m -run TestEndure ./internal/shim -args -rounds 40
	go test -tags '$(TAGS)' -count=1 -timeout 30m ./test/watch -args -length 2m -seed $(SEED)

# Every watcher, list and write against a server that is killed and compacted; each round prints its seed.
LENGTH ?= 10m

.PHONY: watch
watch: ## judge watches, lists and writes through kills and compactions, for LENGTH from SEED
	go test -tags '$(TAGS)' -count=1 -v -timeout 24h ./test/watch -args -length $(LENGTH) -seed $(SEED)

# What a fuzzer finds lands in testdata/fuzz beside its target: mend it, and commit the file as a seed. FUZZ chooses targets by name.
# Only our packages count their coverage, and those that patch documents, on which little else is built: `go test -fuzz` would
# build all that a target links anew, Kubernetes too, for a quarter of an hour.
COVERED  := minato.dev/minato/... gopkg.in/evanphx/json-patch.v4 k8s.io/apimachinery/pkg/util/strategicpatch k8s.io/apimachinery/pkg/util/mergepatch
FUZZTIME ?= 1m
FUZZ     ?= .
FUZZED   := $(CURDIR)/bin/fuzz

.PHONY: fuzz
fuzz: ## fuzz what parses, one target after the other, for FUZZTIME each; FUZZ='regexp'
	@mkdir -p $(FUZZED); cache=$$(go env GOCACHE)/fuzz; grep -rlE '^func Fuzz' --include='*_test.go' internal cmd | xargs -n1 dirname | sort -u | while read -r dir; do \
	  targets=$$(grep -hoE '^func Fuzz\w+' $$dir/*_test.go | cut -d' ' -f2 | grep -E '$(FUZZ)') || continue; \
	  go test -c -tags '$(TAGS)' $(COVERED:%=-gcflags='%=-d=libfuzzer') -o $(FUZZED)/fuzz.test ./$$dir || exit 1; \
	  for f in $$targets; do \
	    echo "== $$dir $$f"; (cd $$dir && $(FUZZED)/fuzz.test -test.run '^$$' -test.fuzz "^$$f\$$" -test.fuzztime $(FUZZTIME) -test.parallel 1 -test.fuzzcachedir $$cache/minato.dev/minato/$$dir) || exit 1; \
	  done; done

# The suite is a Go module of its own: nothing of it is linked into minato. Built programs and images stay in the user's
# cache directory. Reports are in minato-conformance/last there.
CONFORMANCE := cd test/conformance && go test ./cmd/... ./harbour ./images ./programs ./ratchet ./suite && go run ./cmd/conformance
NODES ?= 1

# KUBELET=upstream has upstream's kubelet, built from its module, drive our runtime; the results of such a run are not kept.
KUBELET  ?=
UPSTREAM  = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/k8s-upstream/bin

.PHONY: conformance
conformance: deps build ## run the official conformance tests: FOCUS='regexp' GROUP=a-api,b-pod NODES=1 KUBELET=upstream
	$(if $(filter upstream,$(KUBELET)),go run ./bench/upstream/get kubelet)
	$(CONFORMANCE) $(if $(KUBELET),-kubelet '$(if $(filter upstream,$(KUBELET)),$(UPSTREAM)/kubelet,$(KUBELET))') -readme ../../README.md -focus '$(FOCUS)' -group '$(GROUP)' -nodes $(NODES)

# A part of `make test`. What fails is run twice more by itself and told of; its limits are far from what a loaded machine takes.
.PHONY: conformance-quick
conformance-quick: deps build ## run those of test/conformance/quick.txt
	$(CONFORMANCE) -list quick.txt -timeout 30m -each 6m

.PHONY: critest
critest: deps build ## ask our runtime and upstream's containerd the same over CRI, and compare
	@test -x /usr/lib/cni/bridge || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends containernetworking-plugins >/dev/null
	@command -v buildah >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah >/dev/null
	MINATO=$(CURDIR)/bin/minato MINATO_SHIM=$(CURDIR)/bin/minato-shim go test -tags '$(TAGS)' -count=1 -timeout 20m ./test/cri -args -containerd
	for h in crun runc; do MINATO_SHIM=$(CURDIR)/bin/minato-shim go test -tags '$(TAGS)' -count=1 -timeout 20m -run TestCRI ./test/cri -args -handler $$h || exit 1; done

.PHONY: generate
generate: ## make generated files again
	go generate ./internal/...
