package kafka_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/kafka"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

func TestNew(t *testing.T) {
	t.Parallel()
	ok := kafka.Config{Brokers: []string{"localhost:9092"}}
	if _, err := kafka.New(ok, kafka.Options{}); err != nil {
		t.Errorf("the least that must be given: %v", err)
	}
	for want, change := range map[string]func(*kafka.Config){
		"brokers: want at least one":  func(c *kafka.Config) { c.Brokers = nil },
		`"localhost" is not host:por`: func(c *kafka.Config) { c.Brokers = []string{"localhost"} },
		"prefix":                      func(c *kafka.Config) { c.Prefix = "a b" },
		"partitions":                  func(c *kafka.Config) { c.Partitions = -1 },
		"replication":                 func(c *kafka.Config) { c.Replication = -2 },
		"max_message_bytes":           func(c *kafka.Config) { c.MaxMessageBytes = 10 },
		"session_timeout":             func(c *kafka.Config) { c.SessionTimeout = time.Millisecond },
		"cursor_every":                func(c *kafka.Config) { c.CursorEvery = 48 * time.Hour },
		"sasl: mechanism":             func(c *kafka.Config) { c.SASL = kafka.SASL{Mechanism: "GSSAPI", Username: "u"} },
		"sasl: username is empty":     func(c *kafka.Config) { c.SASL = kafka.SASL{Mechanism: "PLAIN"} },
		"without a mechanism":         func(c *kafka.Config) { c.SASL = kafka.SASL{Password: "secret-password"} },
		"tls: ca":                     func(c *kafka.Config) { c.TLS = kafka.TLS{Enabled: true, CA: "no PEM"} },
		"tls: cert":                   func(c *kafka.Config) { c.TLS = kafka.TLS{Enabled: true, Cert: "no PEM"} },
		"without enabled":             func(c *kafka.Config) { c.TLS = kafka.TLS{CA: "x"} },
	} {
		c := ok
		change(&c)
		_, err := kafka.New(c, kafka.Options{})
		if !errors.Is(err, oslc.Invalid) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want kind invalid with %q", err, want)
		}
		if strings.Contains(fmt.Sprint(err), "secret-password") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

// TestSecrets prints a configuration in every way and looks for its secrets.
func TestSecrets(t *testing.T) {
	t.Parallel()
	c := kafka.Config{
		SASL: kafka.SASL{Mechanism: "PLAIN", Username: "u", Password: "secret-password"},
		TLS:  kafka.TLS{Enabled: true, Key: "secret-key"},
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v", c, c, c)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "sasl", c.SASL, "tls", c.TLS, "all", c)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "sasl", c.SASL, "tls", c.TLS)
	if strings.Contains(b.String(), "secret-") {
		t.Errorf("a secret is printed: %s", b.String())
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	l := open(t, kafka.Config{Brokers: fake(t).ListenAddrs()}, kafka.Options{})
	for _, name := range []string{"", ".", "..", "a b", "a/b", "č", strings.Repeat("a", 250)} {
		if _, err := l.Own(within(t), "s", name); !errors.Is(err, oslc.Invalid) {
			t.Errorf("own topic %q: got %v, want kind invalid", name, err)
		}
		if _, err := l.Open(within(t), name, bus.From{}); !errors.Is(err, oslc.Invalid) {
			t.Errorf("open topic %q: got %v, want kind invalid", name, err)
		}
	}
	if _, err := l.Own(within(t), "", "t"); !errors.Is(err, oslc.Invalid) {
		t.Errorf("own a source without a name: got %v, want kind invalid", err)
	}
	if _, err := l.Own(within(t), "s"); !errors.Is(err, oslc.Invalid) {
		t.Errorf("own without a topic: got %v, want kind invalid", err)
	}
	if _, err := l.Open(within(t), "t", bus.From{Group: "g", Offsets: []int64{1}}); !errors.Is(err, oslc.Invalid) {
		t.Errorf("a group and offsets: got %v, want kind invalid", err)
	}
	own(t, l, "any name / with : ünïcode", "st2_event")
}

// TestTopicConfig makes a topic on a real broker, which checks the settings.
func TestTopicConfig(t *testing.T) {
	t.Parallel()
	b := testkit.Kafka(t)
	good := kafka.Config{
		Brokers: []string{b.Addr}, Partitions: 3, MaxMessageBytes: 3 << 20,
		TopicConfig: map[string]string{"retention.ms": "3600000", "cleanup.policy": "compact"},
	}
	l := open(t, good, kafka.Options{})
	p := own(t, l, b.Name+"-config", b.Name+"-config")
	rec := change("s", b.Name+"-config", 0)
	rec.Value = bytes.Repeat([]byte("x"), 2<<20)
	if err := p.Append(within(t), rec); err != nil {
		t.Errorf("a message of 2 MiB: %v", err)
	}
	r, err := l.Open(within(t), b.Name+"-config", bus.From{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := r.Next(within(t)); err != nil || len(d.Value) != 2<<20 {
		t.Errorf("read back %d bytes, %v", len(d.Value), err)
	}
	for name, c := range map[string]kafka.Config{
		"setting":     {Brokers: good.Brokers, TopicConfig: map[string]string{"no.such.setting": "1"}},
		"replication": {Brokers: good.Brokers, Replication: 3},
	} {
		l := open(t, c, kafka.Options{})
		if _, err := l.Own(within(t), "s", b.Name+"-bad-"+name); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: got %v, want kind invalid", name, err)
		}
	}
}

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestTLSAndSASL(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t)
	_, otherCA := certificate(t)
	c := fake(t,
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "plain", "secret-1"),
		kfake.Superuser("SCRAM-SHA-256", "scram256", "secret-2"),
		kfake.Superuser("SCRAM-SHA-512", "scram512", "secret-3"),
	)
	for _, s := range []kafka.SASL{
		{Mechanism: "PLAIN", Username: "plain", Password: "secret-1"},
		{Mechanism: "SCRAM-SHA-256", Username: "scram256", Password: "secret-2"},
		{Mechanism: "scram-sha-512", Username: "scram512", Password: "secret-3"},
	} {
		l := open(t, kafka.Config{Brokers: c.ListenAddrs(), TLS: kafka.TLS{Enabled: true, CA: ca}, SASL: s}, kafka.Options{})
		if err := l.Ping(within(t)); err != nil {
			t.Errorf("%s: ping: %v", s.Mechanism, err)
		}
		p := own(t, l, s.Username, s.Username)
		if err := p.Append(within(t), change(s.Username, s.Username, 0)); err != nil {
			t.Errorf("%s: append: %v", s.Mechanism, err)
		}
		r, err := l.Open(within(t), s.Username, bus.From{Group: "g"})
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.Next(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Commit(within(t), d); err != nil {
			t.Errorf("%s: commit: %v", s.Mechanism, err)
		}
	}
	good := kafka.SASL{Mechanism: "PLAIN", Username: "plain", Password: "secret-1"}
	l := open(t, kafka.Config{Brokers: c.ListenAddrs(), TLS: kafka.TLS{Enabled: true, CA: otherCA}, SASL: good}, kafka.Options{})
	if _, err := l.Own(within(t), "s", "t"); !errors.Is(err, oslc.Denied) {
		t.Errorf("a certificate of another authority: own: got %v, want kind denied", err)
	}
	if err := l.Ping(within(t)); !errors.Is(err, oslc.Denied) {
		t.Errorf("a certificate of another authority: ping: got %v, want kind denied", err)
	}
}

// A real broker says why it refuses a client, and the log says so at once.
func TestDenied(t *testing.T) {
	t.Parallel()
	b := testkit.Kafka(t)
	if b.SASL == "" {
		t.Skip("the broker was given by its address: unset OSLCBUS_TEST_KAFKA to run this on one with SASL")
	}
	for name, tt := range map[string]struct {
		sasl kafka.SASL
		want error
	}{
		"right":               {kafka.SASL{Mechanism: "PLAIN", Username: testkit.KafkaUser, Password: testkit.KafkaPassword}, nil},
		"wrong password":      {kafka.SASL{Mechanism: "PLAIN", Username: testkit.KafkaUser, Password: "secret-wrong"}, oslc.Denied},
		"mechanism not there": {kafka.SASL{Mechanism: "SCRAM-SHA-256", Username: testkit.KafkaUser, Password: "secret-wrong"}, oslc.Denied},
	} {
		l := open(t, kafka.Config{Brokers: []string{b.SASL}, SASL: tt.sasl}, kafka.Options{})
		topic := b.Name + "-denied"
		p, ownErr := l.Own(within(t), topic, topic)
		if tt.want == nil {
			if ownErr != nil {
				t.Fatal(ownErr)
			}
			if err := p.Append(within(t), change(topic, topic, 0)); err != nil {
				t.Fatal(err)
			}
		}
		_, openErr := l.Open(within(t), topic, bus.From{})
		for call, err := range map[string]error{
			"ping": l.Ping(within(t)), "own": ownErr, "open": openErr,
			"hold": l.Hold(within(t), topic, func(context.Context) error { return nil }),
		} {
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: %s: got %v, want %v", name, call, err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "secret-") {
				t.Errorf("%s: %s tells the password: %v", name, call, err)
			}
		}
	}
}
