package oslcbus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/sqlite"
)

// KafkaConfig says where the log is, when it is not in the data folder.
type KafkaConfig struct {
	// Brokers lists host:port of some brokers; the others are found through them.
	Brokers []string `yaml:"brokers"`
	// Partitions of the topics that the bus makes, and of those it finds; default
	// 1. Each partition is a tracked resource set of its own.
	Partitions int `yaml:"partitions"`
	// Replication of the topics that the bus makes; 0 means the cluster's default.
	Replication int `yaml:"replication"`
	// TopicConfig holds settings of the topics that the bus makes, such as
	// retention.ms.
	TopicConfig map[string]string `yaml:"topic_config"`
	// Prefix begins the names of what the bus keeps in the cluster beside topics;
	// installations that share a cluster need different ones. Default oslcbus.
	Prefix string `yaml:"prefix"`
	// MaxMessageBytes bounds a message; default 1,000,000.
	MaxMessageBytes int `yaml:"max_message_bytes"`
	// Compression of what is written: gzip (default), snappy, lz4, zstd or none.
	// Every client can read gzip; some need a library for the others.
	Compression string `yaml:"compression"`
	// SessionTimeout is how long a replica may be silent before another takes over
	// from it; default 10s.
	SessionTimeout time.Duration `yaml:"session_timeout"`
	TLS            TLSConfig     `yaml:"tls"`
	SASL           SASLConfig    `yaml:"sasl"`
}

// TLSConfig says how connections to the brokers are encrypted.
type TLSConfig struct {
	Enabled bool `yaml:"enabled"`
	// CAFile holds the certificates to trust, in PEM; default the system's.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile are the client's own, in PEM, where the cluster asks.
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

// SASLConfig says who the client is.
type SASLConfig struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism    string          `yaml:"mechanism"`
	Username     string          `yaml:"username"`
	Password     adapters.Secret `yaml:"password"`
	PasswordFile string          `yaml:"password_file"`
}

// driver returns the driver's own configuration, with the files read.
func (k *KafkaConfig) driver() (kafka.Config, error) {
	password, err := k.SASL.Password.OrFile("kafka.sasl.password", k.SASL.PasswordFile)
	if err != nil {
		return kafka.Config{}, err
	}
	c := kafka.Config{
		Brokers: k.Brokers, Prefix: k.Prefix, Partitions: k.Partitions, Replication: k.Replication,
		TopicConfig: k.TopicConfig, MaxMessageBytes: k.MaxMessageBytes, Compression: k.Compression, SessionTimeout: k.SessionTimeout,
		TLS:  kafka.TLS{Enabled: k.TLS.Enabled, ServerName: k.TLS.ServerName},
		SASL: kafka.SASL{Mechanism: k.SASL.Mechanism, Username: k.SASL.Username, Password: string(password)},
	}
	for file, to := range map[string]*string{k.TLS.CAFile: &c.TLS.CA, k.TLS.CertFile: &c.TLS.Cert, k.TLS.KeyFile: &c.TLS.Key} {
		if file == "" {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return c, fmt.Errorf("kafka.tls: %w", err)
		}
		*to = string(b)
	}
	return c, nil
}

// openLog opens the log that the configuration names. One on Kafka does not dial; the
// embedded one has a file of its own, so that no write to it waits for a fold.
func (e *Engine) openLog(ctx context.Context) (bus.Log, error) {
	if len(e.cfg.Kafka.Brokers) > 0 {
		return kafka.New(e.kafka, kafka.Options{Logger: e.logger.With("component", "kafka")})
	}
	db, err := sqlite.Open(ctx, filepath.Join(e.cfg.Data, "log.db"))
	if err != nil {
		return nil, err
	}
	return db.Log(), nil
}
