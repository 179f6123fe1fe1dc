package testkit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A MongoSet is a running MongoDB replica set.
type MongoSet struct {
	// URI is the connection string, without a database.
	URI string
	// Database is a name that no other test of any process uses.
	Database string

	members []*mongod
	// janitor removes the data when this is closed, also by the garbage
	// collector or the end of the process.
	janitor io.Closer
}

// mongoStart bounds how long a set may take until it takes writes. Seconds are
// normal; a loaded machine needs more.
const mongoStart = 90 * time.Second

var (
	sharedMongo     sync.Once
	sharedMongoSet  *MongoSet
	sharedMongoErr  error
	mongoDatabaseNo atomic.Int64
)

// Mongo returns a replica set of one member that the tests of this process
// share, with a database name for this test alone. The set is the one that
// OSLCBUS_TEST_MONGODB names, else a mongod that is started as a child and ends
// with this process. Without either the test is skipped, or fails in CI.
func Mongo(tb testing.TB) *MongoSet {
	tb.Helper()
	database := fmt.Sprintf("t%d_%d", os.Getpid(), mongoDatabaseNo.Add(1))
	if uri := os.Getenv("OSLCBUS_TEST_MONGODB"); uri != "" {
		return &MongoSet{URI: uri, Database: database}
	}
	binary := mongodBinary(tb)
	sharedMongo.Do(func() { sharedMongoSet, sharedMongoErr = startMongoSet(binary, 1, true) })
	if sharedMongoErr != nil {
		tb.Fatalf("start mongod: %v", sharedMongoErr)
	}
	sharedMongoSet.showLogsOnFailure(tb)
	return &MongoSet{URI: sharedMongoSet.URI, Database: database, members: sharedMongoSet.members, janitor: sharedMongoSet.janitor}
}

// MongoSet3 starts a replica set of three members with a fast fail-over for this
// test alone, and stops it at the test's end.
func MongoSet3(tb testing.TB) *MongoSet {
	tb.Helper()
	return ownMongo(tb, 3, true)
}

// MongoOwn starts a replica set of one member for this test alone.
func MongoOwn(tb testing.TB) *MongoSet {
	tb.Helper()
	return ownMongo(tb, 1, true)
}

// MongoStandalone starts a mongod that is no member of a replica set, for this
// test alone.
func MongoStandalone(tb testing.TB) *MongoSet {
	tb.Helper()
	return ownMongo(tb, 1, false)
}

func ownMongo(tb testing.TB, members int, replicated bool) *MongoSet {
	tb.Helper()
	set, err := startMongoSet(mongodBinary(tb), members, replicated)
	if err != nil {
		tb.Fatalf("start mongod: %v", err)
	}
	set.Database = "test"
	set.showLogsOnFailure(tb)
	tb.Cleanup(func() {
		for _, m := range set.members {
			m.stop()
		}
		_ = set.janitor.Close()
	})
	return set
}

// Members returns how many members the set has, 0 for one that was given by its
// address.
func (s *MongoSet) Members() int { return len(s.members) }

// Primary returns the index of the member that takes writes.
func (s *MongoSet) Primary(tb testing.TB) int {
	tb.Helper()
	for deadline := time.Now().Add(mongoStart); time.Now().Before(deadline); <-time.After(pollEvery) {
		for i, m := range s.members {
			if reply, err := mongoCommand(m.address, bsonDoc{{"hello", int32(1)}, {"$db", "admin"}}); err == nil &&
				bsonTrue(reply, "isWritablePrimary") {
				return i
			}
		}
	}
	tb.Fatal("the replica set has no primary")
	return -1
}

// Kill ends a member with SIGKILL, as a power cut would.
func (s *MongoSet) Kill(tb testing.TB, member int) {
	tb.Helper()
	s.members[member].stop()
}

// Restart starts a member again that was killed, on its old data and port.
func (s *MongoSet) Restart(tb testing.TB, member int) {
	tb.Helper()
	if err := s.members[member].start(); err != nil {
		tb.Fatalf("restart mongod: %v", err)
	}
}

// Pause stops a member with SIGSTOP: it is there and does not answer.
func (s *MongoSet) Pause(tb testing.TB, member int) { s.signal(tb, member, PauseProcess) }

// Resume lets a paused member go on.
func (s *MongoSet) Resume(tb testing.TB, member int) { s.signal(tb, member, ResumeProcess) }

func (s *MongoSet) signal(tb testing.TB, member int, signal func(pid int) error) {
	tb.Helper()
	if err := signal(s.members[member].pid); err != nil {
		tb.Fatalf("signal mongod: %v", err)
	}
}

func (s *MongoSet) showLogsOnFailure(tb testing.TB) {
	tb.Cleanup(func() {
		if !tb.Failed() {
			return
		}
		for _, m := range s.members {
			tb.Logf("end of the log of mongod %s:\n%s", m.address, m.logTail(3000))
		}
	})
}

// mongodBinary finds a mongod or ends the test.
func mongodBinary(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv("OSLCBUS_MONGOD"); path != "" {
		return path
	}
	if path, err := exec.LookPath("mongod"); err == nil {
		return path
	}
	for _, inParts := range []string{
		".parts/mongo/bin/mongod",
		".parts/mongo/lib/python3*/site-packages/fiftyone/db/bin/mongod",
	} {
		if found, _ := filepath.Glob(filepath.Join(Root(tb), filepath.FromSlash(inParts))); len(found) > 0 {
			return found[0]
		}
	}
	const hint = "no MongoDB: run `make parts`, or set OSLCBUS_TEST_MONGODB to the URI of a replica set or OSLCBUS_MONGOD to a mongod"
	if InCI() {
		tb.Fatal(hint)
	}
	tb.Skip(hint)
	return ""
}

// startMongoSet starts members and waits until one takes writes and the others
// follow it: a member in its first synchronization cannot be elected.
func startMongoSet(binary string, members int, replicated bool) (_ *MongoSet, err error) {
	root, err := os.MkdirTemp("", "oslcbus-mongo-")
	if err != nil {
		return nil, err
	}
	set := &MongoSet{}
	defer func() {
		if err != nil {
			for _, m := range set.members {
				m.stop()
			}
		}
	}()
	if set.janitor, err = removeAtExit(root); err != nil {
		return nil, err
	}
	name := "rs" + strconv.Itoa(os.Getpid())
	for i := range members {
		m := &mongod{binary: binary, dir: filepath.Join(root, strconv.Itoa(i))}
		if replicated {
			m.set = name
		}
		if err := m.start(); err != nil {
			return nil, err
		}
		set.members = append(set.members, m)
	}
	if !replicated {
		set.URI = "mongodb://" + set.members[0].address + "/?directConnection=true"
		return set, nil
	}
	var hosts []string
	var config []bsonDoc
	for i, m := range set.members {
		hosts = append(hosts, m.address)
		config = append(config, bsonDoc{{"_id", int32(i)}, {"host", m.address}})
	}
	if _, err := mongoCommand(hosts[0], bsonDoc{
		{"replSetInitiate", bsonDoc{
			{"_id", name},
			{"members", config},
			{"settings", bsonDoc{{"electionTimeoutMillis", int32(1000)}, {"heartbeatIntervalMillis", int32(200)}}},
		}},
		{"$db", "admin"},
	}); err != nil {
		return nil, err
	}
	set.URI = "mongodb://" + strings.Join(hosts, ",") + "/?replicaSet=" + name
	for deadline := time.Now().Add(mongoStart); ; <-time.After(pollEvery) {
		primaries, secondaries := 0, 0
		for _, h := range hosts {
			reply, err := mongoCommand(h, bsonDoc{{"hello", int32(1)}, {"$db", "admin"}})
			switch {
			case err != nil:
			case bsonTrue(reply, "isWritablePrimary"):
				primaries++
			case bsonTrue(reply, "secondary"):
				secondaries++
			}
		}
		if primaries == 1 && secondaries == members-1 {
			return set, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.New("the replica set has no primary, or not all members follow it")
		}
	}
}

// A mongod is one server process.
type mongod struct {
	process

	binary, dir, set string
	port, address    string
}

// start starts it on its port, or on a free one the first time.
func (m *mongod) start() error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	if m.port != "" {
		return m.startOnce()
	}
	return onFreePort(1, func(ports []string) error {
		m.port = ports[0]
		return m.startOnce()
	}, m.stop)
}

func (m *mongod) startOnce() error {
	args := []string{
		"--quiet", "--wiredTigerCacheSizeGB", "0.25",
		"--setParameter", "diagnosticDataCollectionEnabled=false",
		"--setParameter", "enableTestCommands=1",
	}
	if m.set != "" {
		args = append(args, "--replSet", m.set, "--oplogSize", "256")
	}
	return m.runWith(args)
}

// runWith starts it on its port and folder, with more arguments.
func (m *mongod) runWith(args []string) error {
	m.address, m.log = "127.0.0.1:"+m.port, filepath.Join(m.dir, "mongod.log")
	argv := append([]string{m.binary, "--dbpath", m.dir, "--port", m.port, "--bind_ip", "127.0.0.1", "--nounixsocket"}, args...)
	return m.run(argv, func() error {
		_, err := mongoCommand(m.address, bsonDoc{{"ping", int32(1)}, {"$db", "admin"}})
		return err
	}, mongoStart)
}
