package testkit_test

import (
	"testing"

	"github.com/oslcbus/oslcbus/internal/testkit"
)

func TestMongoSet3_failsOver(t *testing.T) {
	t.Parallel()
	set := testkit.MongoSet3(t)
	first := set.Primary(t)
	set.Kill(t, first)
	if second := set.Primary(t); second == first {
		t.Fatalf("member %d is primary and dead", second)
	}
	set.Restart(t, first)
	set.Primary(t)
}

func TestMongo_isShared(t *testing.T) {
	t.Parallel()
	a, b := testkit.Mongo(t), testkit.Mongo(t)
	if a.URI != b.URI {
		t.Errorf("two sets: %s and %s", a.URI, b.URI)
	}
	if a.Database == b.Database {
		t.Errorf("one database for two tests: %s", a.Database)
	}
}
