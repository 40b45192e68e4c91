// SPDX-License-Identifier: Apache-2.0

// Package credentials makes what a NATS server and its two users need to know each other, new in each run: an operator, an account, and a user
// with the rights of each end.
package credentials

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Set is what Make has written.
type Set struct {
	// Server is the part of the server's configuration that says whom it trusts.
	Server string
	// Publisher and Consumer are the files of the two users.
	Publisher, Consumer string
}

// Make writes new credentials into dir.
func Make(dir string) (Set, error) {
	operator, err := newKey(nkeys.CreateOperator)
	if err != nil {
		return Set{}, err
	}
	system, err := newKey(nkeys.CreateAccount)
	if err != nil {
		return Set{}, err
	}
	account, err := newKey(nkeys.CreateAccount)
	if err != nil {
		return Set{}, err
	}
	operatorJWT, err := func() (string, error) {
		claims := jwt.NewOperatorClaims(operator.public)
		claims.Name, claims.SystemAccount = "operator", system.public
		return claims.Encode(operator.pair)
	}()
	if err != nil {
		return Set{}, err
	}
	systemJWT, err := jwt.NewAccountClaims(system.public).Encode(operator.pair)
	if err != nil {
		return Set{}, err
	}
	claims := jwt.NewAccountClaims(account.public)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	accountJWT, err := claims.Encode(operator.pair)
	if err != nil {
		return Set{}, err
	}
	set := Set{Server: fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n  %s: %s\n  %s: %s\n}\n",
		operatorJWT, system.public, system.public, systemJWT, account.public, accountJWT)}
	// A collector publishes, and hears the answers to that.
	if set.Publisher, err = writeUser(dir, "publisher", account, []string{"metrics.*"}, []string{"_INBOX.>"}); err != nil {
		return Set{}, err
	}
	set.Consumer, err = writeUser(dir, "consumer", account, []string{"$JS.>", "_INBOX.>"}, []string{"metrics.*", "_INBOX.>"})
	return set, err
}

type key struct {
	pair   nkeys.KeyPair
	public string
}

func newKey(create func() (nkeys.KeyPair, error)) (key, error) {
	pair, err := create()
	if err != nil {
		return key{}, err
	}
	public, err := pair.PublicKey()
	return key{pair, public}, err
}

func writeUser(dir, name string, account key, publish, subscribe []string) (path string, err error) {
	user, err := newKey(nkeys.CreateUser)
	if err != nil {
		return "", err
	}
	seed, err := user.pair.Seed()
	if err != nil {
		return "", err
	}
	claims := jwt.NewUserClaims(user.public)
	claims.Name = name
	claims.Pub.Allow, claims.Sub.Allow = publish, subscribe
	token, err := claims.Encode(account.pair)
	if err != nil {
		return "", err
	}
	text, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, strings.ToLower(name)+".creds")
	return path, os.WriteFile(path, text, 0o600)
}
