package testkit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A KafkaBroker is a running Apache Kafka cluster of one broker.
type KafkaBroker struct {
	// Addr is host:port of the broker.
	Addr string
	// SASL is a second address that wants SASL PLAIN as KafkaUser with
	// KafkaPassword; empty for a broker that was given by its address.
	SASL string
	// Name is a prefix for topics, groups and sources that no other test of any
	// process uses.
	Name string

	process *kafkaProcess // nil for a broker that was given by its address
}

// What the SASL listener of a broker that was started here accepts.
const (
	KafkaUser     = "bus"
	KafkaPassword = "bus-password"
)

// kafkaStart bounds how long a broker may take until it answers. Five seconds are
// normal; a loaded machine needs more.
const kafkaStart = 2 * time.Minute

var (
	sharedKafka    sync.Once
	sharedProcess  *kafkaProcess
	sharedKafkaErr error
	kafkaNameNo    atomic.Int64
)

// Kafka returns a broker that the tests of this process share, with a name for
// this test alone. It is the one that OSLCBUS_TEST_KAFKA names, else one that is
// started as a child and ends with this process. Without either the test is
// skipped, or fails in CI.
func Kafka(tb testing.TB) *KafkaBroker {
	tb.Helper()
	if addr := os.Getenv("OSLCBUS_TEST_KAFKA"); addr != "" {
		return &KafkaBroker{Addr: addr, Name: kafkaName()}
	}
	lib := kafkaLib(tb)
	sharedKafka.Do(func() { sharedProcess, sharedKafkaErr = startKafka(lib, "") })
	if sharedKafkaErr != nil {
		tb.Fatalf("start Kafka: %v", sharedKafkaErr)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("end of the log of Kafka %s:\n%s", sharedProcess.addr, sharedProcess.logTail(1000))
		}
	})
	return &KafkaBroker{Addr: sharedProcess.addr, SASL: sharedProcess.sasl, Name: kafkaName(), process: sharedProcess}
}

// KafkaOwn starts a broker for this test alone, which may Kill, Pause and Restart
// it.
func KafkaOwn(tb testing.TB) *KafkaBroker {
	tb.Helper()
	return ownKafka(tb, "")
}

// KafkaBehindProxy starts a broker for this test alone that sends its clients to
// a proxy: Addr is the proxy's.
func KafkaBehindProxy(tb testing.TB) (*KafkaBroker, *FaultProxy) {
	tb.Helper()
	proxy := NewFaultProxy(tb, "")
	b := ownKafka(tb, proxy.Addr())
	proxy.SetTarget(b.process.behind)
	b.Addr = proxy.Addr()
	return b, proxy
}

func ownKafka(tb testing.TB, proxy string) *KafkaBroker {
	tb.Helper()
	p, err := startKafka(kafkaLib(tb), proxy)
	if err != nil {
		tb.Fatalf("start Kafka: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("end of the log of Kafka %s:\n%s", p.addr, p.logTail(3000))
		}
		p.stop()
		_ = p.janitor.Close()
	})
	return &KafkaBroker{Addr: p.addr, SASL: p.sasl, Name: kafkaName(), process: p}
}

// Kill ends the broker with SIGKILL, as a power cut would.
func (b *KafkaBroker) Kill(tb testing.TB) {
	tb.Helper()
	b.own(tb).stop()
}

// Restart starts a killed broker again on its old data and port, and waits until
// it answers.
func (b *KafkaBroker) Restart(tb testing.TB) {
	tb.Helper()
	if err := b.own(tb).start(); err != nil {
		tb.Fatalf("restart Kafka: %v", err)
	}
}

// Pause stops the broker with SIGSTOP: it is there and does not answer.
func (b *KafkaBroker) Pause(tb testing.TB) { b.signal(tb, PauseProcess) }

// Resume lets a paused broker go on.
func (b *KafkaBroker) Resume(tb testing.TB) { b.signal(tb, ResumeProcess) }

func (b *KafkaBroker) signal(tb testing.TB, signal func(pid int) error) {
	tb.Helper()
	if err := signal(b.own(tb).pid); err != nil {
		tb.Fatalf("signal Kafka: %v", err)
	}
}

func (b *KafkaBroker) own(tb testing.TB) *kafkaProcess {
	tb.Helper()
	if b.process == nil || b.process == sharedProcess {
		tb.Fatal("this broker is shared: use KafkaOwn to kill or pause one")
	}
	return b.process
}

func kafkaName() string {
	return fmt.Sprintf("t%d-%d-%d", os.Getpid(), time.Now().Unix()%1e6, kafkaNameNo.Add(1))
}

// kafkaLib finds Kafka's jars or ends the test.
func kafkaLib(tb testing.TB) string {
	tb.Helper()
	lib := filepath.Join(Root(tb), ".parts", "kafka", "lib")
	_, javaErr := exec.LookPath("java")
	if jars, _ := filepath.Glob(filepath.Join(lib, "kafka_2.13-*.jar")); len(jars) > 0 && javaErr == nil {
		return lib
	}
	const hint = "no Apache Kafka: run `make parts` (it needs java and mvn), or set OSLCBUS_TEST_KAFKA to host:port of a broker"
	if InCI() {
		tb.Fatal(hint)
	}
	tb.Skip(hint)
	return ""
}

// A kafkaProcess is a broker.
type kafkaProcess struct {
	process

	lib, dir string
	addr     string // what the broker tells its clients to connect to
	proxy    string // the address that clients of the second listener are sent to
	behind   string // the second listener
	sasl     string // the third listener
	// janitor removes dir once this end of its standard input is closed; an end that
	// nobody holds is closed by the garbage collector.
	janitor io.Closer
}

const kafkaProperties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[2]s
listeners=PLAINTEXT://127.0.0.1:%[1]s,PROXIED://127.0.0.1:%[3]s,SASLED://127.0.0.1:%[6]s,CONTROLLER://127.0.0.1:%[2]s
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]s,PROXIED://%[4]s,SASLED://127.0.0.1:%[6]s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SASLED:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasled.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%[7]s="%[8]s";
log.dirs=%[5]s
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
group.min.session.timeout.ms=1000
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=100
`

const kafkaLog4j = `<Configuration status="WARN">
  <Appenders><Console name="C"><PatternLayout pattern="%d{ABSOLUTE} %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="C"/></Root></Loggers>
</Configuration>
`

func startKafka(lib, proxy string) (*kafkaProcess, error) {
	dir, err := os.MkdirTemp("", "oslcbus-kafka-")
	if err != nil {
		return nil, err
	}
	p := &kafkaProcess{lib: lib, dir: dir, proxy: proxy}
	if p.janitor, err = removeAtExit(dir); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "log4j2.xml"), []byte(kafkaLog4j), 0o600); err != nil {
		return nil, err
	}
	return p, onFreePort(4, func(ports []string) error {
		if err := p.configure(ports); err != nil {
			return err
		}
		return p.start()
	}, p.stop)
}

// configure writes the properties with the ports and formats the storage.
func (p *kafkaProcess) configure(ports []string) error {
	p.addr, p.behind, p.sasl = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[2], "127.0.0.1:"+ports[3]
	proxy := p.proxy
	if proxy == "" {
		proxy = p.behind
	}
	data := filepath.Join(p.dir, "data")
	properties := fmt.Sprintf(kafkaProperties, ports[0], ports[1], ports[2], proxy, data,
		ports[3], KafkaUser, KafkaPassword)
	if err := os.WriteFile(p.properties(), []byte(properties), 0o600); err != nil {
		return err
	}
	if _, err := os.Stat(data); err == nil {
		return nil
	}
	const clusterID = "b3NsY2J1cy10ZXN0cy0wMQ" // any 16 bytes in base64
	cmd := exec.CommandContext(context.Background(), "java", p.java(
		"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", p.properties())...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format the storage: %w\n%s", err, out)
	}
	return nil
}

func (p *kafkaProcess) properties() string { return filepath.Join(p.dir, "server.properties") }

func (p *kafkaProcess) java(args ...string) []string {
	return append([]string{
		"-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
		"-Dlog4j2.configurationFile=" + filepath.Join(p.dir, "log4j2.xml"),
		"-cp", filepath.Join(p.lib, "*"),
	}, args...)
}

func (p *kafkaProcess) start() error {
	p.log = filepath.Join(p.dir, "kafka.log")
	return p.run(append([]string{"java"}, p.java("kafka.Kafka", p.properties())...), func() error { return kafkaReady(p.addr) }, kafkaStart)
}

// kafkaReady reports whether both coordinators of the broker answer: on a fresh
// broker they say 14 (loading) or 15 (not available) for about a second.
func kafkaReady(addr string) error {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	const name = "testkit"
	// FindCoordinator v1: key, key type 0 (a group).
	group := append(kafkaString(nil, name), 0)
	if err := kafkaCall(conn, 10, 1, group); err != nil {
		return fmt.Errorf("group coordinator: %w", err)
	}
	// InitProducerId v0: transactional id, time-out in milliseconds.
	producer := binary.BigEndian.AppendUint32(kafkaString(nil, name), 60_000)
	if err := kafkaCall(conn, 22, 0, producer); err != nil {
		// The first look-up makes the topic of the transaction coordinator.
		_ = kafkaCall(conn, 10, 1, append(kafkaString(nil, name), 1))
		return fmt.Errorf("transaction coordinator: %w", err)
	}
	return nil
}

// kafkaCall sends a request and returns the error code of its answer, which in
// the requests used here follows the throttle time.
func kafkaCall(conn net.Conn, key, version uint16, body []byte) error {
	req := binary.BigEndian.AppendUint16(nil, key)
	req = binary.BigEndian.AppendUint16(req, version)
	req = binary.BigEndian.AppendUint32(req, 1) // correlation id
	req = append(kafkaString(req, "testkit"), body...)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(req))), req...)); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	answer := make([]byte, min(binary.BigEndian.Uint32(size[:]), 1<<20))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if len(answer) < 10 {
		return errors.New("short answer")
	}
	if code := int16(binary.BigEndian.Uint16(answer[8:])); code != 0 {
		return fmt.Errorf("error code %d", code)
	}
	return nil
}

func kafkaString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// KafkaRequest returns a FaultProxy match for requests of one kind, by the key
// that the protocol gives it: 0 is Produce, 1 is Fetch, 22 is InitProducerId.
func KafkaRequest(key uint16) func(request []byte) bool {
	want := binary.BigEndian.AppendUint16(nil, key)
	return func(request []byte) bool { return len(request) >= 6 && bytes.Equal(request[4:6], want) }
}
