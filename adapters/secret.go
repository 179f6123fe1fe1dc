package adapters

import (
	"log/slog"
	"os"
	"strings"

	"github.com/oslcbus/oslcbus/oslc"
)

// A Secret is a value of the configuration that no log, error or page shows.
type Secret string

const hidden = "<secret>"

// String hides the value; convert to string to use it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value from a configuration.
func (s *Secret) UnmarshalText(b []byte) error { *s = Secret(b); return nil }

// OrFile returns the secret, or what is in its file, without the line end. At
// most one of the two may be given; field names them in errors. Neither gives an
// empty Secret.
func (s Secret) OrFile(field, file string) (Secret, error) {
	const op = "adapters.secret"
	switch {
	case file == "":
		return s, nil
	case s != "":
		return "", oslc.Errorf(op, oslc.Invalid, "%s and %s_file are both set", field, field)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", oslc.Errorf(op, oslc.Invalid, "%s_file: %v", field, err)
	}
	v := strings.TrimRight(string(b), "\r\n")
	if v == "" {
		return "", oslc.Errorf(op, oslc.Invalid, "%s_file: %s is empty", field, file)
	}
	return Secret(v), nil
}
