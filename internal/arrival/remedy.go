// SPDX-License-Identifier: Apache-2.0

package arrival

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"
)

// statusError is an answer that is none.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return fmt.Sprintf("it answered %d %s", e.status, http.StatusText(e.status))
}

// hopeless says that asking again gives the same answer until somebody changes something.
func hopeless(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.status == http.StatusUnauthorized || status.status == http.StatusForbidden || status.status == http.StatusNotFound
	}
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, http.ErrSchemeMismatch)
}

// explain adds to an error of a request what to do about it. notFound is the remedy for a 404.
func explain(err error, notFound string) error {
	if remedy := remedy(err, notFound); remedy != "" {
		return fmt.Errorf("%w: %s", err, remedy)
	}
	return err
}

func remedy(err error, notFound string) string {
	var (
		status      *statusError
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &status):
		return statusRemedy(status.status, notFound)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "mount the Secret with it, readable for the user of this process"
	case errors.As(err, &dns):
		return "the host's name is not known here: look for a mistake in it, and whether a NetworkPolicy lets this pod ask DNS"
	case errors.As(err, &certificate):
		return "its certificate is not trusted: for an authority of your own, name its certificate's file in SSL_CERT_FILE; for another name, use the one in the certificate"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "what answers there does not speak TLS: use http://"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: look at the port, and whether its pod is ready"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time: look at the address, and whether a NetworkPolicy or a firewall lets this pod through"
	}
	return ""
}

func statusRemedy(status int, notFound string) string {
	switch status {
	case http.StatusUnauthorized:
		return "the credentials are missing or not accepted: give a token or a user name and a password that are valid there"
	case http.StatusForbidden:
		return "the credentials are known and not allowed to do this: give them the role; on Azure it takes up to 30 minutes to work"
	case http.StatusNotFound:
		return notFound
	case http.StatusTooManyRequests:
		return "it is above its limits: ask less often, or raise them"
	}
	return ""
}
