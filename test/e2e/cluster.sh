#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real single-node Kubernetes on this machine, without Docker: the node's programs, built from their Go modules, over
# Debian's containerd, runc and CNI plugins. Needs root and Go.
#
#   cluster.sh build         build what the node consists of; installs Debian's packages where they are missing
#   cluster.sh up            start the node; prints the path of the administrator's kubeconfig
#   cluster.sh load ARCHIVE  load an image archive (docker-archive or OCI) into the node
#   cluster.sh image NAME:TAG 'ENTRYPOINT ARGUMENT...' FILE[=/PATH]...
#                            make an image of nothing but these files, and load it
#   cluster.sh enforce       enforce NetworkPolicies from now on, with kube-router
#   cluster.sh kubeconfig    print the path of the administrator's kubeconfig
#   cluster.sh down          stop the node, and delete its state
#
# Everything is kept in ${RUNNER_CLUSTER_DIR:-$HOME/.cache/otelcol-runner/cluster}: bin/ is what was built, run/ is the
# node that runs, with its logs (run/log) and the API server's audit log (run/audit.log).
#
# The node has its own network, mount and process namespaces, as a node in a container has: its iptables rules, mounts,
# interfaces and processes are not the machine's, and end with the one process that `down` kills.
# A veth pair leads in: the machine is 198.18.0.1, the node 198.18.0.2, and pods are routed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

dir=${RUNNER_CLUSTER_DIR:-${HOME:?is not set; set RUNNER_CLUSTER_DIR}/.cache/otelcol-runner/cluster}
bin=$dir/bin
run=$dir/run
pki=$run/pki
kubeconfig=$run/admin.kubeconfig

# The cgroup, and the interface on the machine's side. One node runs at a time on a machine.
name=otelcol-e2e
machine=198.18.0.1
node=198.18.0.2
pods=10.244.0.0/24
services=10.96.0.0/16
api_service=10.96.0.1
dns_service=10.96.0.10
api=https://$node:6443

# Folders that the node's programs write to whatever they are told. In the node they are empty and its own.
private="/var/log /var/lib/cni /var/lib/kubelet /run/containerd /opt/containerd"
# What the kubelet sets for the whole machine.
kernel_settings="vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes"

fail() {
  echo "cluster.sh: $*" >&2
  exit 1
}

# --- build

packages() {
  local missing=()
  command -v containerd >/dev/null || missing+=(containerd)
  command -v runc >/dev/null || missing+=(runc)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v ip >/dev/null || missing+=(iproute2)
  command -v curl >/dev/null || missing+=(curl)
  command -v openssl >/dev/null || missing+=(openssl)
  command -v unshare >/dev/null || missing+=(util-linux)
  [ -x /usr/lib/cni/ptp ] || missing+=(containernetworking-plugins)
  [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing+=(busybox-static)
  [ ${#missing[@]} = 0 ] && return
  echo "Installing ${missing[*]}" >&2
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# compile MODULE NAME PACKAGE...: build PACKAGE... of the module in tools/MODULE to bin/, unless nothing has changed.
# NAME is what it is called, and the program's name where there is one PACKAGE.
compile() {
  local module=$root/tools/$1 called=$2 out=$bin/ sum stamp=$bin/.$2
  shift 2
  [ $# -gt 1 ] || out=$bin/$called
  sum=$(cd "$module" && { go env GOVERSION; find . -type f | LC_ALL=C sort | xargs cat; } | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ] || return 0
  # -tags of the distribution mean something else to other modules.
  (cd "$module" && CGO_ENABLED=0 GOFLAGS='-buildvcs=false -trimpath' \
    "$root/hack/progress.sh" "Building $called" go build -ldflags "-s -w ${ldflags:-}" -o "$out" "$@")
  echo "$sum" >"$stamp"
}

build() {
  packages
  mkdir -p "$bin"
  local version kubernetes=k8s.io/component-base/version
  version=$(cd "$root/tools/cluster" && GOFLAGS='' go list -m -f '{{.Version}}' k8s.io/kubernetes)
  # Without its version the kubelet calls itself v0.0.0, and the API server offers no API that has been removed since.
  ldflags="-X $kubernetes.gitVersion=$version -X $kubernetes.gitMajor=1 -X $kubernetes.gitMinor=$(cut -d. -f2 <<<"$version")" \
    compile cluster kubernetes k8s.io/kubernetes/cmd/kube-{apiserver,controller-manager,scheduler,proxy} k8s.io/kubernetes/cmd/kube{ctl,let}
  compile cluster pause ./pause
  compile cluster/etcd etcd go.etcd.io/etcd/server/v3
  compile coredns coredns .
  compile kube-state-metrics kube-state-metrics k8s.io/kube-state-metrics/v2
  compile blackbox blackbox_exporter github.com/prometheus/blackbox_exporter
}

# --- up, outside the node

up() {
  [ "$(id -u)" = 0 ] || fail "namespaces, mounts and containerd need root; run it as root"
  if running && [ -e "$run/ready" ]; then
    fail "a node runs already: KUBECONFIG=$kubeconfig. Stop it with \`$0 down\`."
  fi
  down
  ! ip link show "$name" >/dev/null 2>&1 ||
    fail "the interface $name exists: a node of another RUNNER_CLUSTER_DIR runs on this machine. Stop it there with \`cluster.sh down\`."
  build
  mkdir -p "$run/log" "$pki"
  local folder
  for folder in $private; do
    [ -d "$folder" ] || { mkdir -p "$folder" && echo "$folder" >>"$run/folders"; }
  done
  sysctl $kernel_settings >"$run/sysctl"
  identities
  configurations

  # --kill-child: whatever ends this process ends the node.
  setsid unshare --mount --net --pid --fork --kill-child --mount-proc "$here/cluster.sh" node \
    >"$run/log/node.log" 2>&1 </dev/null &
  echo $! >"$run/pid"
  await 10 "the node's namespaces" test -e "$run/unshared"
  ip link add "$name" type veth peer name eth0 netns "$(cat "$run/pid")"
  ip addr add "$machine/30" dev "$name"
  ip link set "$name" up
  ip route add "$pods" via "$node" || fail "no route to the pods: $pods is used on this machine"

  await 60 kube-apiserver request GET /readyz
  post "$here/cluster.yaml"
  await 30 containerd ctr_ version
  image registry.k8s.io/pause:3.10 /pause "$bin/pause=/pause"
  image registry.k8s.io/coredns/coredns:v1.12.4 /coredns "$bin/coredns=/coredns" "$root/tools/coredns/Corefile=/Corefile"
  await 60 "the node" holds /api/v1/nodes/node1 '"reason": "KubeletReady"'
  await 60 "the cluster's DNS" holds /apis/apps/v1/namespaces/kube-system/deployments/coredns '"readyReplicas": 1'
  touch "$run/ready"
  echo "$kubeconfig"
}

running() { [ -e "$run/pid" ] && [ "$(cat "/proc/$(cat "$run/pid")/comm" 2>/dev/null)" = unshare ]; }

# await SECONDS WHAT COMMAND...: wait until COMMAND succeeds.
await() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "$what is not up; see $run/log, and \`$0 down\` afterwards"
    sleep 0.2
  done
}

# request METHOD PATH [CURL-OPTION...]: ask the API server, as its administrator.
request() {
  curl --silent --show-error --fail-with-body --cacert "$pki/ca.crt" --header "@$pki/admin.header" --request "$1" "$api$2" "${@:3}"
}

holds() { request GET "$1" | grep -qF "$2"; }

# post FILE: create the objects of a YAML file. A line `# POST path` comes before each.
post() {
  local line path='' object=''
  while IFS= read -r line; do
    case $line in
      '# POST '*) path=${line#\# POST } ;;
      ---) create "$path" "$object" && object='' ;;
      *) object+=$line$'\n' ;;
    esac
  done <"$1"
  create "$path" "$object"
}

create() { request POST "$1" --header 'Content-Type: application/yaml' --data-binary "$2" >/dev/null; }

identities() (
  cd "$pki"
  umask 077
  key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1"; }
  key ca.key
  openssl req -x509 -new -key ca.key -out ca.crt -subj /CN=cluster-ca -days 30
  key service-accounts.key
  openssl ec -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null
  key api.key
  openssl req -new -key api.key -subj /O=system:masters/CN=kube-apiserver |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out api.crt -extfile <(
      echo "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:$api_service,IP:$node"
    ) 2>/dev/null

  local file user groups token
  while read -r file user groups; do
    token=$(openssl rand -hex 16)
    echo "$token,$user,$user${groups:+,\"$groups\"}" >>tokens.csv
    cat >"$run/$file.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: "$api", certificate-authority: "$pki/ca.crt"}}]
users: [{name: "$file", user: {token: "$token"}}]
contexts: [{name: e2e, context: {cluster: e2e, user: "$file"}}]
current-context: e2e
YAML
    [ "$file" != admin ] || echo "Authorization: Bearer $token" >admin.header
  done <<'USERS'
admin admin system:masters
kubelet system:node:node1 system:nodes
controller-manager system:kube-controller-manager
scheduler system:kube-scheduler
proxy system:kube-proxy
USERS
)

configurations() {
  mkdir -p "$run/cni"
  # ptp, not bridge: every packet between pods is routed, so that it passes the rules of the node as it does elsewhere.
  cat >"$run/cni/10-ptp.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp",
  "ipam": {"type": "host-local", "dataDir": "$run/ipam", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  # enable_unprivileged_ports is containerd 2's default. restrict_oom_score_adj: some machines may not lower the score.
  cat >"$run/containerd.toml" <<TOML
version = 2
root = "$run/containerd"
state = "$run/containerd-state"
[grpc]
  address = "$run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  disable_apparmor = true
  enable_unprivileged_ports = true
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$run/cni"
TOML
  : >"$run/resolv.conf" # the machine's search domains are not the cluster's
  cat >"$run/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /$name
failCgroupV1: false
failSwapOn: false
clusterDNS: ["$dns_service"]
clusterDomain: cluster.local
resolvConf: "$run/resolv.conf"
containerRuntimeEndpoint: "unix://$run/containerd.sock"
volumePluginDir: "$run/volume-plugins"
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$pki/ca.crt"}}
authorization: {mode: Webhook}
# The machine is somebody's: its disk may be nearly full. Images cannot be pulled again, so that none is to be collected.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
YAML
  cat >"$run/audit.yaml" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
YAML
}

# --- up, inside the node: what follows is its process 1

node() {
  mount --make-rshared / # the kubelet's mounts have to reach the containers
  local folder
  for folder in $private; do mount -t tmpfs tmpfs "$folder"; done
  for folder in $(cgroups); do mkdir -p "$folder"; done
  ip link set lo up
  touch "$run/unshared"
  await 10 "the node's interface" ip link show eth0
  ip addr add "$node/30" dev eth0
  ip link set eth0 up
  ip route add default via "$machine"

  cd "$run"
  daemon etcd "$bin/etcd" --data-dir "$run/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  daemon kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --advertise-address="$node" --secure-port=6443 \
    --tls-cert-file="$pki/api.crt" --tls-private-key-file="$pki/api.key" --client-ca-file="$pki/ca.crt" \
    --token-auth-file="$pki/tokens.csv" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range="$services" --allow-privileged=true \
    --kubelet-client-certificate="$pki/api.crt" --kubelet-client-key="$pki/api.key" --kubelet-preferred-address-types=InternalIP \
    --audit-policy-file="$run/audit.yaml" --audit-log-path="$run/audit.log" --audit-log-mode=blocking --audit-log-maxsize=10000
  daemon containerd containerd --config "$run/containerd.toml"
  await 60 kube-apiserver request GET /readyz
  daemon kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$run/controller-manager.kubeconfig" --leader-elect=false \
    --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt" --cluster-cidr="$pods" \
    --use-service-account-credentials=true --flex-volume-plugin-dir="$run/volume-plugins"
  daemon kube-scheduler "$bin/kube-scheduler" --kubeconfig="$run/scheduler.kubeconfig" --leader-elect=false
  daemon kube-proxy "$bin/kube-proxy" --kubeconfig="$run/proxy.kubeconfig" --proxy-mode=iptables --cluster-cidr="$pods" \
    --hostname-override=node1 --conntrack-max-per-core=0
  await 30 containerd ctr_ version
  daemon kubelet "$bin/kubelet" --config="$run/kubelet.yaml" --kubeconfig="$run/kubelet.kubeconfig" --hostname-override=node1 \
    --node-ip="$node" --root-dir="$run/kubelet" --cert-dir="$run/kubelet/pki"
  wait
}

# daemon NAME COMMAND...: start it, with its log.
daemon() { "${@:2}" >"$run/log/$1.log" 2>&1 & }

# cgroups prints the folder of the node's cgroup in every hierarchy: there is one in version 2, one per controller in version 1.
cgroups() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo "/sys/fs/cgroup/$name"
  else
    printf "%s$name\n" /sys/fs/cgroup/*/
  fi
}

# --- enforce

# Of the controllers whose modules are served, kube-router is the one that needs nothing but iptables and ipset of the kernel.
enforce() {
  [ -e "$run/ready" ] || fail "no node runs; start one with \`$0 up\`"
  command -v ipset >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends ipset >/dev/null; }
  compile kube-router kube-router github.com/cloudnativelabs/kube-router/v2/cmd/kube-router
  local inside=(nsenter --target "$(pgrep -P "$(cat "$run/pid")")" --mount --net --pid)
  setsid "${inside[@]}" "$bin/kube-router" --kubeconfig="$kubeconfig" --hostname-override=node1 --run-firewall=true \
    --run-router=false --run-service-proxy=false --run-loadbalancer=false --enable-cni=false \
    --service-cluster-ip-range="$services" --health-port=0 --metrics-port=0 -v=1 >"$run/log/kube-router.log" 2>&1 </dev/null &
  await 30 "kube-router" "${inside[@]}" iptables --check FORWARD -m comment --comment "kube-router netpol - TEMCG2JMHZYE7H7T" -j KUBE-ROUTER-FORWARD
}

# --- images

ctr_() { ctr --address "$run/containerd.sock" --namespace k8s.io "$@"; }

load() { ctr_ images import "$1" >/dev/null; }

image() {
  local reference=$1 entrypoint=$2 work file path
  shift 2
  work=$(mktemp -d "$run/image.XXXXXX")
  mkdir -p "$work/root/tmp"
  for file; do
    path=$work/root/${file##*=/}
    mkdir -p "$(dirname "$path")"
    cp "${file%%=*}" "$path"
  done
  tar --directory "$work/root" --sort=name --owner=0 --group=0 --mtime=@0 --create --file "$work/layer.tar" .
  printf '{"architecture": "%s", "os": "linux", "config": {"Entrypoint": ["%s"], "User": "65532:65532", "Env": ["PATH=/bin:/"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:%s"]}}' \
    "$(go env GOARCH)" "${entrypoint// /\", \"}" "$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)" >"$work/config.json"
  printf '[{"Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"]}]' "$reference" >"$work/manifest.json"
  tar --directory "$work" --create --file "$work/image.tar" manifest.json config.json layer.tar
  load "$work/image.tar"
  rm -rf "$work"
}

# --- down

down() {
  [ -d "$run" ] || return 0
  if running; then
    local pid
    pid=$(cat "$run/pid")
    # Process 1 of the node, so that all others have ended when its parent has.
    pkill -KILL -P "$pid" || kill -KILL "$pid"
    await 30 "the node, which should end, still" test ! -e "/proc/$pid"
  fi
  ip link del "$name" 2>/dev/null || true
  local folder
  for folder in $(cgroups); do
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} +
  done
  [ ! -e "$run/sysctl" ] || sysctl --quiet --load="$run/sysctl"
  [ ! -e "$run/folders" ] || xargs rmdir --ignore-fail-on-non-empty <"$run/folders"
  rm -rf "$run"
}

case ${1:-} in
  build | up | down | node | enforce) "$1" ;;
  kubeconfig) [ -e "$run/ready" ] && echo "$kubeconfig" || fail "no node runs; start one with \`$0 up\`" ;;
  load) load "${2:?which archive?}" ;;
  image) image "${2:?which name?}" "${3:?which entrypoint?}" "${@:4}" ;;
  *)
    sed -n '4,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac
