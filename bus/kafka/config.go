package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/compress/gzip"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Config is what an operator says about the cluster.
type Config struct {
	// Brokers lists host:port of some brokers; the others are found through them.
	Brokers []string `yaml:"brokers"`

	TLS  TLS  `yaml:"tls"`
	SASL SASL `yaml:"sasl"`

	// Prefix begins the names of what the bus keeps in the cluster beside topics:
	// transactional ids, groups of Hold and their topic. Installations that share
	// a cluster need different ones.
	Prefix string `yaml:"prefix"`

	// Partitions and Replication are for topics that are made by the bus. A
	// replication of 0 means the cluster's default.
	Partitions  int `yaml:"partitions"`
	Replication int `yaml:"replication"`

	// TopicConfig holds settings for topics that are made by the bus, such as
	// retention.ms or min.insync.replicas.
	TopicConfig map[string]string `yaml:"topic_config"`

	// MaxMessageBytes bounds an encoded message with its headers. More than the
	// default needs max.message.bytes in the topics, which those made by the bus get.
	MaxMessageBytes int `yaml:"max_message_bytes"`

	// Compression of what is written: gzip, which is the default, snappy, lz4, zstd
	// or none. Every client can read gzip; some need a library for the others.
	Compression string `yaml:"compression"`

	// SessionTimeout is how long a member of a group may be silent before others
	// take over from it.
	SessionTimeout time.Duration `yaml:"session_timeout"`

	// CursorEvery bounds the age of a source's newest cursor on the log while its
	// records do not move it.
	CursorEvery time.Duration `yaml:"cursor_every"`
}

// Defaults of Config.
const (
	DefaultPrefix          = "oslcbus"
	DefaultPartitions      = 1
	DefaultMaxMessageBytes = 1_000_000 // below Kafka's own 1,048,588
	DefaultCompression     = "gzip"
	DefaultSessionTimeout  = 10 * time.Second
	DefaultCursorEvery     = time.Hour
)

// TLS says how connections are encrypted.
type TLS struct {
	Enabled bool `yaml:"enabled"`
	// CA is a PEM bundle; empty means the system's.
	CA string `yaml:"ca"`
	// Cert and Key are the client's, in PEM, where the cluster wants one.
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"`
}

// SASL says who the client is.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty means no SASL.
	Mechanism string `yaml:"mechanism"`
	Username  string `yaml:"username"`
	Password  string `yaml:"password"`
}

// LogValue keeps the password out of logs.
func (s SASL) LogValue() slog.Value {
	return slog.GroupValue(slog.String("mechanism", s.Mechanism), slog.String("username", s.Username))
}

// String keeps the password out of logs.
func (s SASL) String() string { return s.Mechanism + " " + s.Username }

// GoString keeps the password out of logs.
func (s SASL) GoString() string { return s.String() }

// LogValue keeps the key out of logs.
func (t TLS) LogValue() slog.Value { return slog.StringValue(t.String()) }

// String keeps the key out of logs.
func (t TLS) String() string {
	return fmt.Sprintf("enabled=%t server_name=%s client_cert=%t", t.Enabled, t.ServerName, t.Cert != "")
}

// GoString keeps the key out of logs.
func (t TLS) GoString() string { return t.String() }

// Options are what a program passes.
type Options struct {
	// Logger is told of outages and of what was found at a take-over; nil discards.
	Logger *slog.Logger
	// Dial makes connections; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c *Config) setDefaults() {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Partitions == 0 {
		c.Partitions = DefaultPartitions
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if c.Compression == "" {
		c.Compression = DefaultCompression
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = DefaultSessionTimeout
	}
	if c.CursorEvery == 0 {
		c.CursorEvery = DefaultCursorEvery
	}
}

// A FieldError is a mistake in one key of a Config.
type FieldError struct {
	Field string // as it is written in YAML
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

func (c *Config) validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, &FieldError{"brokers", errors.New("want at least one host:port")})
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			errs = append(errs, &FieldError{"brokers", fmt.Errorf("%q is not host:port", b)})
		}
	}
	if err := checkName(c.Prefix); err != nil {
		errs = append(errs, &FieldError{"prefix", err})
	}
	if c.Partitions < 0 || c.Partitions > 10_000 {
		errs = append(errs, &FieldError{"partitions", fmt.Errorf("%d is not between 1 and 10000", c.Partitions)})
	}
	if c.Replication < 0 || c.Replication > 100 {
		errs = append(errs, &FieldError{"replication", fmt.Errorf("%d is not between 0 and 100", c.Replication)})
	}
	if c.MaxMessageBytes < 10_000 || c.MaxMessageBytes > 100<<20 {
		errs = append(errs, &FieldError{"max_message_bytes", fmt.Errorf("%d is not between 10000 and 104857600", c.MaxMessageBytes)})
	}
	if _, err := codecOf(c.Compression); err != nil {
		errs = append(errs, &FieldError{"compression", err})
	}
	if c.SessionTimeout < time.Second {
		errs = append(errs, &FieldError{"session_timeout", fmt.Errorf("%v is less than 1s", c.SessionTimeout)})
	}
	// The broker forgets a producer that wrote nothing for a day.
	if c.CursorEvery < time.Millisecond || c.CursorEvery > maxSilence {
		errs = append(errs, &FieldError{"cursor_every", fmt.Errorf("%v is not between 1ms and %v", c.CursorEvery, maxSilence)})
	}
	return errors.Join(errs...)
}

func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		if t.CA != "" || t.Cert != "" || t.Key != "" || t.ServerName != "" {
			return nil, errors.New("tls: settings without enabled: true")
		}
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, errors.New("tls: ca has no PEM certificate")
		}
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key))
		if err != nil {
			return nil, fmt.Errorf("tls: cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism != "" && s.Username == "" {
		return nil, errors.New("sasl: username is empty")
	}
	switch strings.ToUpper(s.Mechanism) {
	case "":
		if s.Username != "" || s.Password != "" {
			return nil, errors.New("sasl: username or password without a mechanism")
		}
		return nil, nil
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		return scram.Mechanism(scram.SHA256, s.Username, s.Password)
	case "SCRAM-SHA-512":
		return scram.Mechanism(scram.SHA512, s.Username, s.Password)
	}
	return nil, fmt.Errorf("sasl: mechanism %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
}

// codecOf returns what compresses, nil for nothing.
func codecOf(name string) (compress.Codec, error) {
	switch name {
	case "none":
		return nil, nil
	case "gzip":
		// Events are alike: more effort makes a batch hardly smaller.
		return &gzip.Codec{Level: 1}, nil
	case "snappy":
		return compress.Snappy.Codec(), nil
	case "lz4":
		return compress.Lz4.Codec(), nil
	case "zstd":
		return compress.Zstd.Codec(), nil
	}
	return nil, fmt.Errorf("%q is not none, gzip, snappy, lz4 or zstd", name)
}

// Kafka allows these names for topics (org.apache.kafka.common.internals.Topic).
var legalName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func checkName(name string) error {
	if !legalName.MatchString(name) || name == "." || name == ".." {
		return fmt.Errorf("%q is not a name in Kafka: want 1 to 249 of [a-zA-Z0-9._-]", name)
	}
	return nil
}
