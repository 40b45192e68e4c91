// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

// startPatience is how long etcd and the API server may take to start, on a busy machine.
const startPatience = 2 * time.Minute

// Server is etcd and an API server on loopback, and nothing else: no node, no controller.
type Server struct {
	// Config is that of an administrator.
	Config *rest.Config

	processes []*delivery.Process
}

// Binaries returns the folder of the cluster's binaries, $RUNNER_CLUSTER_DIR/bin or the default that `make cluster` fills.
func Binaries() (string, error) {
	dir := os.Getenv("RUNNER_CLUSTER_DIR")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".cache", "otelcol-runner", "cluster")
	}
	bin := filepath.Join(dir, "bin")
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil { //nolint:gosec // where the binaries are is for the caller to say
			return "", fmt.Errorf("%s: %s is missing: run `make cluster` first (%w)", bin, name, err)
		}
	}
	return bin, nil
}

// StartServer starts the binaries in bin, with their state and logs in dir. Whatever credentials are needed are made for this run.
func StartServer(ctx context.Context, bin, dir string) (*Server, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	if err := os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(token+`,admin,admin,"system:masters"`+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := writeKey(filepath.Join(dir, "accounts.key")); err != nil {
		return nil, err
	}
	s := &Server{Config: &rest.Config{
		Host:        "https://127.0.0.1:" + ports[2],
		BearerToken: token,
		// The server signs its certificate itself when it starts.
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(dir, "pki", "apiserver.crt")},
	}}
	if err := s.start(ctx, bin, dir, ports); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, bin, dir string, ports []string) error {
	client, peer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	err := s.run(bin, dir, "etcd",
		"--data-dir="+filepath.Join(dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	if err != nil {
		return err
	}
	key := filepath.Join(dir, "accounts.key")
	err = s.run(bin, dir, "kube-apiserver",
		"--etcd-servers="+client, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+ports[2],
		"--endpoint-reconciler-type=none", // the server's own Service has no use here, and may not lead to loopback
		"--cert-dir="+filepath.Join(dir, "pki"), "--token-auth-file="+filepath.Join(dir, "tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-key-file="+key, "--service-account-signing-key-file="+key, "--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true")
	if err != nil {
		return err
	}
	return delivery.Await(ctx, "the API server", startPatience, s.ready, s.processes...)
}

func (s *Server) run(bin, dir, name string, args ...string) error {
	process, err := delivery.Start(name, filepath.Join(bin, name), args, nil, filepath.Join(dir, name+".log"))
	if err != nil {
		return err
	}
	s.processes = append(s.processes, process)
	return nil
}

// ready asks the server for its health, once it has written its certificate.
func (s *Server) ready(ctx context.Context) (bool, error) {
	clients, err := kubernetes.NewForConfig(s.Config)
	if err != nil {
		return false, err
	}
	_, err = clients.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err == nil, err
}

// Stop ends both processes.
func (s *Server) Stop() {
	for i := len(s.processes) - 1; i >= 0; i-- {
		s.processes[i].Discard()
	}
}

// writeKey makes a key that signs the tokens of service accounts.
func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}

// freePorts returns ports of the loopback interface that nothing listens on now.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }() // when all are found, so that they differ
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
