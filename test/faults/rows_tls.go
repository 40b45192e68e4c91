// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
)

// tlsRows are certificates that are no good, and are replaced.
func tlsRows() []row {
	trouble := func(log string) want {
		return want{answers: map[string]int{"error": 1}, log: []string{logFailed, log, logWorks}}
	}
	return []row{
		{
			name: "TLS certificate expired", fault: "the certificate of the receiver has expired, and is renewed",
			inject: replaceCertificate(func(r *rig, ca *authority) *tls.Certificate {
				return ca.issue(r, time.Now().Add(-time.Minute), net.IPv4(127, 0, 0, 1))
			}),
			want: trouble("certificate has expired"),
		},
		{
			name: "TLS unknown authority", fault: "the certificate is from an authority that is not trusted, and is replaced",
			inject: replaceCertificate(func(r *rig, _ *authority) *tls.Certificate {
				return newAuthority(r).issue(r, time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1))
			}),
			want: trouble("certificate signed by unknown authority"),
		},
		{
			name: "TLS wrong host", fault: "the certificate is for another host, and is replaced",
			inject: replaceCertificate(func(r *rig, ca *authority) *tls.Certificate {
				return ca.issue(r, time.Now().Add(time.Hour), net.IPv4(192, 0, 2, 1))
			}),
			want: trouble("certificate is valid for 192.0.2.1, not 127.0.0.1"),
		},
		{
			name: "HTTP to an HTTPS port", fault: "the endpoint says http://, the receiver speaks TLS: not taken for an answer about samples", inject: plainHTTP,
			want: want{answers: map[string]int{"400": 1}, log: []string{"Client sent an HTTP request to an HTTPS server", logWorks}},
		},
	}
}

// replaceCertificate pushes samples to a receiver with a bad certificate, which then gets a good one.
func replaceCertificate(bad func(*rig, *authority) *tls.Certificate) func(*rig) {
	return func(r *rig) {
		ca := newAuthority(r)
		var current atomic.Pointer[tls.Certificate]
		current.Store(bad(r, ca))
		serveTLS(r, &current)
		file := filepath.Join(r.dir, "ca.pem")
		require.NoError(r, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw}), 0o600))
		r.configure(fmt.Sprintf("endpoint: 'https://%s/api/v1/write', tls: {ca_file: %q}", r.front.address, file))
		r.start()
		r.rounds(fewRounds, fewSeries)
		r.awaitLog(logFailed)
		require.Empty(r, r.front.all(), "requests to a receiver that is not trusted")
		current.Store(ca.issue(r, time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)))
	}
}

// serveTLS lets the front speak TLS.
func serveTLS(r *rig, current *atomic.Pointer[tls.Certificate]) {
	require.NoError(r, r.front.close())
	r.front.tls = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
	}
	require.NoError(r, r.front.serve())
}

func plainHTTP(r *rig) {
	var current atomic.Pointer[tls.Certificate]
	current.Store(newAuthority(r).issue(r, time.Now().Add(time.Hour), net.IPv4(127, 0, 0, 1)))
	serveTLS(r, &current)
	r.start()
	r.rounds(fewRounds, fewSeries)
	r.awaitLog(logFailed)
	require.NoError(r, r.front.close())
	r.front.tls = nil
	require.NoError(r, r.front.serve())
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(r *rig) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(r, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "faults"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(r, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(r, err)
	return &authority{certificate, key}
}

// issue makes a certificate for an address.
func (a *authority) issue(r *rig, until time.Time, ip net.IP) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(r, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "receiver"}, IPAddresses: []net.IP{ip},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(r, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
