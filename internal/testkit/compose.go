package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// KafkaImage starts a broker for this test alone as the image apache/kafka does
// with an environment: each variable KAFKA_A_B becomes the property a.b, and
// nothing else is set. Its ports become free ones of this machine, the name of
// its service becomes the loopback address, and its data is in a new folder.
func KafkaImage(tb testing.TB, service string, env map[string]string) *KafkaBroker {
	tb.Helper()
	lib := kafkaLib(tb)
	var err error
	for range 5 { // the ports that were free may be taken before the broker binds them
		var p *kafkaProcess
		if p, err = startKafkaImage(tb, lib, service, env); err == nil {
			return &KafkaBroker{Addr: p.addr, Name: kafkaName(), process: p}
		}
	}
	tb.Fatalf("start Kafka: %v", err)
	return nil
}

func startKafkaImage(tb testing.TB, lib, service string, env map[string]string) (*kafkaProcess, error) {
	p := &kafkaProcess{lib: lib, dir: tb.TempDir()}
	if err := os.WriteFile(filepath.Join(p.dir, "log4j2.xml"), []byte(kafkaLog4j), 0o600); err != nil {
		return nil, err
	}
	data := filepath.Join(p.dir, "data")
	text, client, err := imageProperties(env, service, data)
	if err != nil {
		return nil, err
	}
	p.addr = client
	if err := os.WriteFile(p.properties(), []byte(text), 0o600); err != nil {
		return nil, err
	}
	// The image's own default of CLUSTER_ID.
	cmd := exec.CommandContext(tb.Context(), "java", p.java(
		"kafka.tools.StorageTool", "format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", p.properties())...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format the storage: %w\n%s\n%s", err, text, out)
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) == 0 {
		return nil, fmt.Errorf("nothing was written into log.dirs: %w", err)
	}
	tb.Cleanup(p.stop)
	return p, p.start()
}

var (
	listener = regexp.MustCompile(`([A-Z_]+)://([^:,]*):(\d+)`)
	voter    = regexp.MustCompile(`(\d+)@([^:,]+):(\d+)`)
)

// imageProperties returns the properties file of an environment, and the address
// that clients are told.
func imageProperties(env map[string]string, service, data string) (text, client string, err error) {
	ports := map[string]string{}
	address := func(port string) string {
		if ports[port] == "" && err == nil {
			ports[port], err = freePort()
		}
		return "127.0.0.1:" + ports[port]
	}
	var lines []string
	for name, value := range env {
		key, ours := strings.CutPrefix(name, "KAFKA_")
		if !ours {
			continue
		}
		// What the image does: _ is a dot, __ an underscore, ___ a dash.
		key = strings.NewReplacer("___", "-", "__", "_", "_", ".").Replace(strings.ToLower(key))
		switch key {
		case "log.dirs":
			value = data
		case "listeners", "advertised.listeners":
			value = listener.ReplaceAllStringFunc(value, func(s string) string {
				m := listener.FindStringSubmatch(s)
				if m[2] != "" && m[2] != service {
					err = fmt.Errorf("%s names the host %q, the service is %s", name, m[2], service)
				}
				if key == "advertised.listeners" {
					client = address(m[3])
				}
				return m[1] + "://" + address(m[3])
			})
		case "controller.quorum.voters":
			value = voter.ReplaceAllStringFunc(value, func(s string) string {
				m := voter.FindStringSubmatch(s)
				return m[1] + "@" + address(m[3])
			})
		}
		lines = append(lines, key+"="+value+"\n")
	}
	if client == "" && err == nil {
		err = fmt.Errorf("%v names no advertised listener", env)
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), client, err
}

// MongoCommand starts mongod for this test alone by a command line such as a
// compose file has: its address becomes a free one of this machine and its data
// is in a new folder. It returns the address.
func MongoCommand(tb testing.TB, argv ...string) string {
	tb.Helper()
	if len(argv) == 0 || argv[0] != "mongod" {
		tb.Fatalf("%q: want a command line of mongod", argv)
	}
	args := slices.DeleteFunc(slices.Clone(argv[1:]), func(a string) bool { return a == "--bind_ip_all" })
	m := &mongod{binary: mongodBinary(tb), dir: tb.TempDir()}
	if err := onFreePort(1, func(ports []string) error {
		m.port = ports[0]
		return m.runWith(args)
	}, m.stop); err != nil {
		tb.Fatalf("start %q: %v", argv, err)
	}
	tb.Cleanup(m.stop)
	return m.address
}

// MongoInitiate makes a replica set of the server at address, which has the name
// and the host given, and waits until it takes writes.
func MongoInitiate(tb testing.TB, address, name, host string) {
	tb.Helper()
	if _, err := mongoCommand(address, bsonDoc{
		{"replSetInitiate", bsonDoc{{"_id", name}, {"members", []bsonDoc{{{"_id", int32(0)}, {"host", host}}}}}},
		{"$db", "admin"},
	}); err != nil {
		tb.Fatal(err)
	}
	for deadline := time.Now().Add(mongoStart); time.Now().Before(deadline); <-time.After(pollEvery) {
		if reply, err := mongoCommand(address, bsonDoc{{"hello", int32(1)}, {"$db", "admin"}}); err == nil && bsonTrue(reply, "isWritablePrimary") {
			return
		}
	}
	tb.Fatal("the member takes no writes")
}
