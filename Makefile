# hoopy: see README.md. Every target works from a fresh clone; what a target
# needs beyond Go it installs (root) or names (otherwise): tools/deps.

GO      ?= go
export CGO_ENABLED ?= 0
export GOFLAGS ?= -trimpath -buildvcs=false
BENCH   ?= 5

.PHONY: run image test pure priv e2e bench soak lint audit zfs

run: ## build an image and boot it under qemu
	@tools/deps qemu
	$(GO) run ./build run

image: ## build out/vmlinuz and out/initramfs
	$(GO) run ./build

test: lint pure priv e2e ## everything that a change must pass

pure: ## no root, no network, seconds
	$(GO) test -timeout 30m ./...

priv: ## real processes, mounts, cgroups and sockets in namespaces; root
	@tools/deps priv
	$(GO) test -tags priv -p 1 -count 1 -timeout 40m ./...

e2e: ## the machine under qemu
	@tools/deps e2e
	@tools/zfs || echo "what needs ZFS is skipped"
	$(GO) test -tags e2e -p 1 -count 1 -timeout 40m -v ./e2e/... ./build/debian

zfs: ## build ZFS for the tests' kernel into a cache, two to five minutes the first time
	@tools/zfs

bench: ## figures beside the peers, not pass or fail
	@tools/deps e2e
	$(GO) test -run '^$$' -bench . -benchmem ./supervisor ./unit ./control ./process/... ./devices/...
	$(GO) test -tags priv -p 1 -run '^$$' -bench . -benchmem ./build/... ./devices/modindex
	$(GO) test -tags e2e -p 1 -count 1 -timeout 60m -v -run TestBench ./e2e -bench-boots $(BENCH)

soak: ## what takes too long for every change
	@tools/deps priv
	HOOPY_SOAK=1 $(GO) test -tags priv -p 1 -count 1 -timeout 80m ./supervisor/... ./process/... ./keeper/... ./cmd/init/... \
		./build/apk/... ./build/install/...
	@tools/deps e2e
	@tools/zfs || echo "what needs ZFS is skipped"
	HOOPY_SOAK=1 $(GO) test -tags e2e -p 1 -count 1 -timeout 80m -v -run '^(TestData|TestPools)$$' ./e2e

lint: ## vet for every tag and system, staticcheck, gofmt
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./... && $(GO) vet -tags priv ./... && $(GO) vet -tags e2e ./...
	GOOS=darwin $(GO) vet ./build/... ./unit/... ./control/... ./cmd/svc
	$(GO) tool -modfile=tools/go.mod staticcheck -tags priv,e2e ./...

audit: ## known holes in what we link; needs a network
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...
