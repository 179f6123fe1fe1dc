package adapters

import "github.com/oslcbus/oslcbus/oslc"

// Credentials are what a connection has in its configuration to log in with: User and
// Password (HTTP Basic), or Token (Bearer), or nothing. Each secret may be in a file.
type Credentials struct {
	User                    string
	Password, Token         Secret
	PasswordFile, TokenFile string
}

// Read returns the secrets. It fails with kind Invalid where one is given twice, cannot
// be read, or does not go with the rest.
func (c Credentials) Read() (password, token string, err error) {
	const op = "adapters.credentials"
	p, err := c.Password.OrFile("password", c.PasswordFile)
	if err != nil {
		return "", "", err
	}
	t, err := c.Token.OrFile("token", c.TokenFile)
	switch {
	case err != nil:
		return "", "", err
	case t != "" && (c.User != "" || p != ""):
		return "", "", oslc.Errorf(op, oslc.Invalid, "user and password, or token, not both")
	case (c.User == "") != (p == ""):
		return "", "", oslc.Errorf(op, oslc.Invalid, "user and password belong together")
	}
	return string(p), string(t), nil
}
