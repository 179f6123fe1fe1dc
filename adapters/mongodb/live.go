package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/oslcbus/oslcbus/oslc"
)

const (
	// batchSize is how many documents the server sends at once: enough that the
	// round trip does not count, few enough that a batch of mapped graphs stays
	// below some 10 MB.
	batchSize = 1000
	// maxAwait is how long the server waits for a change before it answers with a
	// post-batch token alone.
	maxAwait = time.Second
	// selectionTimeout is how long a new primary is waited for; an election takes
	// up to twelve seconds by default.
	selectionTimeout = 20 * time.Second
	// leanLimit is the size above which a part of an event is left out of a lean
	// stream. An event has three such parts, and 16 MB in all.
	leanLimit = 5 << 20
	appName   = "oslcbus"
)

// live is a Server on the other end of a connection.
type live struct {
	client *mongo.Client
	spaces []namespace
	log    *slog.Logger

	version [3]int
}

type namespace struct{ database, collection string }

// dial connects to a deployment whose changes in spaces are of interest. The
// function that it returns closes the connection.
func dial(ctx context.Context, uri string, spaces []namespace, log *slog.Logger) (*live, func(), error) {
	const op = "mongodb.connect"
	o := options.Client().SetServerSelectionTimeout(selectionTimeout).SetAppName(appName).ApplyURI(uri)
	client, err := mongo.Connect(o)
	if err != nil {
		return nil, nil, oslc.E(op, redact(err, uri), oslc.Invalid)
	}
	closeClient := func() {
		// Disconnect waits for connections in use; nobody uses any now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = client.Disconnect(ctx)
	}
	return &live{client: client, spaces: spaces, log: log}, closeClient, nil
}

func (s *live) Identify(ctx context.Context) (Identity, error) {
	const op = "mongodb.identify"
	admin := s.client.Database("admin")
	hello, err := admin.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Raw()
	if err != nil {
		return Identity{}, classify(op, err)
	}
	info, err := admin.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		return Identity{}, classify(op, err)
	}
	i := 0
	for part := range Doc(info).Lookup("versionArray").Items() {
		if n, ok := part.Int(); ok && i < len(s.version) {
			s.version[i] = int(n)
			i++
		}
	}
	if Doc(hello).Str("msg") == "isdbgrid" {
		version, err := s.client.Database("config").Collection("version").FindOne(ctx, bson.D{}).Raw()
		if err != nil {
			return s.nameless(op, err)
		}
		return Identity{Set: Doc(version).Lookup("clusterId").Text()}, nil
	}
	if Doc(hello).Str("setName") == "" {
		return Identity{}, oslc.Errorf(op, oslc.Invalid,
			"the MongoDB server is not a member of a replica set, so it has no change streams: start it with --replSet and run rs.initiate() once (one member is enough)")
	}
	config, err := admin.RunCommand(ctx, bson.D{{Key: "replSetGetConfig", Value: 1}}).Raw()
	if err != nil {
		return s.nameless(op, err)
	}
	return Identity{Set: Doc(config).Lookup("config.settings.replicaSetId").Text()}, nil
}

// nameless says that the account may not read what tells deployments apart.
func (s *live) nameless(op string, err error) (Identity, error) {
	err = classify(op, err)
	if !errors.Is(err, oslc.Denied) {
		return Identity{}, err
	}
	s.log.Warn("the account may not read the id of the replica set: a change to another one goes unnoticed; grant it clusterMonitor",
		"err", err)
	return Identity{}, nil
}

func (s *live) atLeast(major, minor, patch int) bool {
	return slices.Compare(s.version[:], []int{major, minor, patch}) >= 0
}

func (s *live) Watch(ctx context.Context, from Position) (Stream, error) {
	o := options.ChangeStream().SetBatchSize(batchSize).SetMaxAwaitTime(maxAwait)
	if s.atLeast(6, 0, 0) {
		o.SetFullDocument(options.WhenAvailable).SetFullDocumentBeforeChange(options.WhenAvailable).SetShowExpandedEvents(true)
	}
	switch {
	case from.ByTime:
		o.SetStartAtOperationTime(&bson.Timestamp{T: uint32(from.Time >> 32), I: uint32(from.Time)})
	case from.Token != "":
		o.SetStartAfter(bson.D{{Key: "_data", Value: from.Token}})
	}
	var stream *mongo.ChangeStream
	var err error
	if db, one := s.database(); one {
		stream, err = s.client.Database(db).Watch(ctx, s.pipeline(from.Lean), o)
	} else {
		stream, err = s.client.Watch(ctx, s.pipeline(from.Lean), o)
	}
	if err != nil {
		return nil, classifyResume("mongodb.watch", err, from)
	}
	return &liveStream{stream: stream, from: from}, nil
}

// database returns the one database that is watched; one is false for several,
// which need a stream over the whole deployment.
func (s *live) database() (name string, one bool) {
	for _, sp := range s.spaces {
		if name != "" && sp.database != name {
			return "", false
		}
		name = sp.database
	}
	return name, true
}

func (s *live) pipeline(lean bool) mongo.Pipeline {
	byDatabase := map[string]bson.A{}
	var order []string
	for _, sp := range s.spaces {
		if byDatabase[sp.database] == nil {
			order = append(order, sp.database)
		}
		byDatabase[sp.database] = append(byDatabase[sp.database], sp.collection)
	}
	var wanted bson.A
	for _, db := range order {
		in := bson.D{{Key: "$in", Value: byDatabase[db]}}
		wanted = append(wanted,
			bson.D{{Key: "ns.db", Value: db}, {Key: "ns.coll", Value: in}},
			bson.D{{Key: "to.db", Value: db}, {Key: "to.coll", Value: in}},
			bson.D{{Key: "ns.db", Value: db}, {Key: "operationType", Value: OpDropDatabase}})
	}
	wanted = append(wanted, bson.D{{Key: "operationType", Value: OpInvalidate}})
	p := mongo.Pipeline{{{Key: "$match", Value: bson.D{{Key: "$or", Value: wanted}}}}}
	if lean {
		var set bson.D
		for _, part := range []string{"fullDocument", "fullDocumentBeforeChange", "updateDescription"} {
			size := bson.D{{Key: "$bsonSize", Value: bson.D{{Key: "$ifNull", Value: bson.A{"$" + part, bson.D{}}}}}}
			set = append(set, bson.E{Key: part, Value: bson.D{{Key: "$cond", Value: bson.A{
				bson.D{{Key: "$gt", Value: bson.A{size, leanLimit}}}, "$$REMOVE", "$" + part,
			}}}})
		}
		p = append(p, bson.D{{Key: "$set", Value: set}})
	}
	if s.splits() {
		p = append(p, bson.D{{Key: "$changeStreamSplitLargeEvent", Value: bson.D{}}})
	}
	return p
}

// splits reports whether the server can send a large event in parts.
func (s *live) splits() bool {
	return s.atLeast(7, 0, 0) || s.version[0] == 6 && s.version[1] == 0 && s.version[2] >= 9
}

type liveStream struct {
	stream   *mongo.ChangeStream
	from     Position
	decoder  changeDecoder
	fragment fragments
	begun    bool
}

func (s *liveStream) Next(ctx context.Context) (Batch, error) {
	var b Batch
	if !s.begun {
		s.begun = true
		// The answer that opened the stream says where it begins; the first
		// getMore would wait for a change.
		if token := Doc(s.stream.ResumeToken()).Str("_data"); token != "" && s.stream.RemainingBatchLength() == 0 {
			return Batch{At: Place{Time: tokenTime(token), Token: token}}, nil
		}
	}
	for {
		if !s.stream.TryNext(ctx) {
			if err := s.stream.Err(); err != nil {
				return Batch{}, classifyResume("mongodb.next", err, s.from)
			}
			if s.stream.ID() == 0 {
				if len(b.Changes) > 0 {
					return b, nil
				}
				return Batch{}, io.EOF
			}
			if s.fragment.open() {
				continue
			}
			break
		}
		event, whole, err := s.fragment.add(Doc(s.stream.Current))
		if err != nil {
			return Batch{}, oslc.E("mongodb.next", err, oslc.Internal)
		}
		if whole {
			c, err := s.decoder.decode(event)
			if err != nil {
				return Batch{}, oslc.E("mongodb.next", err, oslc.Internal)
			}
			if b.Changes == nil {
				b.Changes = make([]Change, 0, 1+s.stream.RemainingBatchLength())
			}
			b.Changes = append(b.Changes, c)
			b.At = c.At
		}
		if s.stream.RemainingBatchLength() == 0 && !s.fragment.open() {
			break
		}
	}
	if token := Doc(s.stream.ResumeToken()).Str("_data"); token != "" {
		at := Place{Time: tokenTime(token), Token: token}
		if at.Time == 0 {
			at.Time = b.At.Time
		}
		b.At = at
	}
	return b, nil
}

func (s *liveStream) Close(ctx context.Context) error { return s.stream.Close(ctx) }

// fragments joins the parts of an event that the server split for its size
// ($changeStreamSplitLargeEvent): each part has some of the fields, and only the
// last one's token stands after the event.
type fragments struct {
	parts []Doc
}

// open reports whether an event is not complete yet.
func (f *fragments) open() bool { return len(f.parts) > 0 }

// add takes the next part; whole is true when event is complete.
func (f *fragments) add(part Doc) (event Doc, whole bool, err error) {
	split := part.field("splitEvent").Doc()
	if split == nil {
		if f.open() {
			return nil, false, errors.New("a split event ended early")
		}
		return part, true, nil
	}
	n, _ := split.Int("fragment")
	of, _ := split.Int("of")
	if int(n) != len(f.parts)+1 {
		return nil, false, fmt.Errorf("part %d of %d of a split event follows part %d", n, of, len(f.parts))
	}
	f.parts = append(f.parts, part)
	if n < of {
		return nil, false, nil
	}
	size := 5
	for _, p := range f.parts {
		size += len(p)
	}
	out := make([]byte, 4, size)
	for i, p := range f.parts {
		for g := p.fields(); g.next(); {
			name := string(g.key)
			if name == "splitEvent" || name == "_id" && i < len(f.parts)-1 {
				continue
			}
			out = append(out, g.element()...)
		}
	}
	f.parts = nil
	return finish(out, 0), true, nil
}

func (s *live) Find(ctx context.Context, q Query) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		// A snapshot at the wanted time; where that is too long ago, or the
		// collection is younger, one at the present; else, as for views, a plain
		// read that stands at its beginning.
		attempts := []func() (stopped bool, err error){
			func() (bool, error) { return s.findSnapshot(ctx, q, q.At, yield) },
			func() (bool, error) { return s.findSnapshot(ctx, q, 0, yield) },
			func() (bool, error) { return s.findPlain(ctx, q, yield) },
		}
		if q.At == 0 {
			attempts = attempts[1:]
		}
		for i, attempt := range attempts {
			stopped, err := attempt()
			if err == nil || stopped {
				return
			}
			if ctx.Err() != nil {
				yield(Found{}, ctx.Err())
				return
			}
			if _, command := errors.AsType[mongo.CommandError](err); i == len(attempts)-1 || !command ||
				errors.Is(classify("", err), oslc.Denied) {
				yield(Found{}, classify("mongodb.find", err))
				return
			}
		}
	}
}

func (s *live) findSnapshot(ctx context.Context, q Query, at ClusterTime, yield func(Found, error) bool) (bool, error) {
	o := options.Session().SetSnapshot(true)
	if at != 0 {
		o.SetSnapshotTime(bson.Timestamp{T: uint32(at >> 32), I: uint32(at)})
	}
	session, err := s.client.StartSession(o)
	if err != nil {
		return false, err
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	return s.each(mongo.NewSessionContext(ctx, session), q, func() ClusterTime {
		t := session.SnapshotTime()
		return NewClusterTime(t.T, t.I)
	}, yield)
}

func (s *live) findPlain(ctx context.Context, q Query, yield func(Found, error) bool) (bool, error) {
	session, err := s.client.StartSession()
	if err != nil {
		return false, err
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	inSession := mongo.NewSessionContext(ctx, session)
	if err := s.client.Database("admin").RunCommand(inSession, bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		return false, err
	}
	var at ClusterTime
	if t := session.OperationTime(); t != nil {
		at = NewClusterTime(t.T, t.I)
	}
	return s.each(inSession, q, func() ClusterTime { return at }, yield)
}

func (s *live) each(ctx context.Context, q Query, at func() ClusterTime, yield func(Found, error) bool) (stopped bool, err error) {
	filter := bson.D{}
	if !q.ID.IsZero() {
		filter = bson.D{{Key: "_id", Value: bson.RawValue{Type: bson.Type(q.ID.Type), Value: q.ID.Data}}}
	}
	var readConcern []options.Lister[options.CollectionOptions]
	if session := mongo.SessionFromContext(ctx); session != nil && session.SnapshotTime().IsZero() && at() != 0 {
		readConcern = append(readConcern, options.Collection().SetReadConcern(readconcern.Majority()))
	}
	cursor, err := s.client.Database(q.Database).Collection(q.Collection, readConcern...).
		Find(ctx, filter, options.Find().SetBatchSize(batchSize))
	if err != nil {
		return false, err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for cursor.Next(ctx) {
		if !yield(Found{Doc: Doc(cursor.Current), At: at()}, nil) {
			return true, nil
		}
	}
	return false, cursor.Err()
}
