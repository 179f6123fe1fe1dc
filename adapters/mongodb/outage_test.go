package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/adaptertest"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/oslc"
)

func TestReal_errorsOfTheStreamAreOvercome(t *testing.T) {
	t.Parallel()
	for _, code := range []int{43, 91, 189} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			db := realDatabase(t, testkit.MongoOwn(t))
			host := &adaptertest.Host{}
			opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
			r := start(t, db.watch(opts), host, nil)
			r.waitLive()
			db.failPoint(2, code, "getMore")
			for i := range 10 {
				db.insert(fmt.Sprint(i), "T")
			}
			again := 0
			for len(host.Distinct()) < 10 {
				enough, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				waited := make(chan error, 1)
				go func() { waited <- host.Wait(enough, func() bool { return len(host.Distinct()) >= 10 }) }()
				select {
				case err := <-waited:
					if err != nil {
						t.Fatalf("%d of 10 events", len(host.Distinct()))
					}
				case err := <-r.ended:
					if again++; again > 3 || !errors.Is(err, oslc.Unavailable) {
						t.Fatalf("Run returned %v", err)
					}
					r = start(t, db.watch(opts), host, host.Cursor())
				}
				cancel()
			}
			if n := len(host.Events()); n != 10 {
				t.Errorf("%d events, want 10 without repeats", n)
			}
		})
	}
}

func TestReal_failOverLosesNothing(t *testing.T) {
	t.Parallel()
	rs := testkit.MongoSet3(t)
	db := realDatabase(t, rs)
	host := &adaptertest.Host{}
	opts := adapters.Options{State: host, Cache: &adaptertest.Cache{}}
	r := start(t, db.watch(opts), host, nil)
	r.waitLive()
	const n = 200
	var written atomic.Int32
	wrote := make(chan error, 1)
	go func() {
		for i := range n {
			d := bson.D{{Key: "_id", Value: fmt.Sprint(i)}, {Key: "title", Value: "T"}}
			for {
				_, err := db.tickets().InsertOne(t.Context(), d)
				if err == nil || mongo.IsDuplicateKeyError(err) {
					break
				}
				if t.Context().Err() != nil {
					wrote <- err
					return
				}
			}
			written.Add(1)
		}
		wrote <- nil
	}()
	r.waitEvents(n / 4)
	first := rs.Primary(t)
	rs.Kill(t, first)
	for len(host.Distinct()) < n {
		waited := make(chan error, 1)
		enough, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		go func() { waited <- host.Wait(enough, func() bool { return len(host.Distinct()) >= n }) }()
		select {
		case err := <-waited:
			if err != nil {
				t.Fatalf("%d of %d events, %d documents written", len(host.Distinct()), n, written.Load())
			}
		case err := <-r.ended:
			if !errors.Is(err, oslc.Unavailable) {
				t.Fatalf("Run returned %v, want kind unavailable", err)
			}
			r = start(t, db.watch(opts), host, host.Cursor())
		}
		cancel()
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if got := len(host.Events()); got != n {
		t.Errorf("%d events for %d documents", got, n)
	}
	rs.Restart(t, first)
}

func TestReal_notAReplicaSet(t *testing.T) {
	t.Parallel()
	db := realDatabase(t, testkit.MongoStandalone(t))
	host := &adaptertest.Host{}
	err := start(t, db.watch(adapters.Options{}), host, nil).end()
	if !errors.Is(err, oslc.Invalid) || !strings.Contains(err.Error(), "replica set") {
		t.Errorf("Run returned %v", err)
	}
}

// A server that is there and does not answer must not hold up the program's end.
func TestReal_stopsWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	rs := testkit.MongoOwn(t)
	db := realDatabase(t, rs)
	db.insert("a", "A")
	host := &adaptertest.Host{}
	r := start(t, db.watch(adapters.Options{State: host, Cache: &adaptertest.Cache{}}), host, nil)
	r.waitLive()
	rs.Pause(t, 0)
	defer rs.Resume(t, 0)
	begun := time.Now()
	if err := r.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	// A loaded machine gets some more than the second that is promised.
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("Run returned after %v", took)
	}
}

func TestReal_denied(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"aggregate", "getMore"} {
		db := realDatabase(t, testkit.MongoOwn(t))
		const unauthorized = 13
		db.failPoint(1, unauthorized, command)
		if err := start(t, db.watch(adapters.Options{}), &adaptertest.Host{}, nil).end(); !errors.Is(err, oslc.Denied) {
			t.Errorf("%s: Run returned %v, want kind denied", command, err)
		}
	}
}

func TestReal_unreachable(t *testing.T) {
	t.Parallel()
	w := openReal(t, "mongodb://user:not-a-real-secret@127.0.0.1:1/?directConnection=true&serverSelectionTimeoutMS=200", "app", adapters.Options{})
	err := start(t, w, &adaptertest.Host{}, nil).end()
	if !errors.Is(err, oslc.Unavailable) {
		t.Errorf("Run returned %v, want kind unavailable", err)
	}
	if strings.Contains(fmt.Sprint(err), "not-a-real-secret") {
		t.Error("the error shows the password")
	}
}
