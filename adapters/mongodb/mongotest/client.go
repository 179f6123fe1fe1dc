package mongotest

import (
	"context"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// A Client writes to a real MongoDB as a tool would. Documents are given in
// Extended JSON.
type Client struct {
	db *mongo.Database
}

// Connect returns a client of the database, which is dropped at the test's end.
func Connect(tb testing.TB, uri, database string) *Client {
	tb.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		_ = c.Database(database).Drop(ctx) // the server may be gone by now
		_ = c.Disconnect(ctx)
	})
	return &Client{c.Database(database)}
}

// Insert adds documents.
func (c *Client) Insert(ctx context.Context, collection string, docs ...string) error {
	all := make([]any, len(docs))
	for i, d := range docs {
		var doc bson.D
		if err := bson.UnmarshalExtJSON([]byte(d), false, &doc); err != nil {
			return err
		}
		all[i] = doc
	}
	_, err := c.db.Collection(collection).InsertMany(ctx, all)
	return err
}

// Update changes the one document that the filter finds.
func (c *Client) Update(ctx context.Context, collection, filter, update string) error {
	var f, u bson.D
	if err := bson.UnmarshalExtJSON([]byte(filter), false, &f); err != nil {
		return err
	}
	if err := bson.UnmarshalExtJSON([]byte(update), false, &u); err != nil {
		return err
	}
	_, err := c.db.Collection(collection).UpdateOne(ctx, f, u)
	return err
}

// Replace puts a document in the place of the one that the filter finds.
func (c *Client) Replace(ctx context.Context, collection, filter, doc string) error {
	var f, d bson.D
	if err := bson.UnmarshalExtJSON([]byte(filter), false, &f); err != nil {
		return err
	}
	if err := bson.UnmarshalExtJSON([]byte(doc), false, &d); err != nil {
		return err
	}
	_, err := c.db.Collection(collection).ReplaceOne(ctx, f, d)
	return err
}

// Delete removes the one document that the filter finds.
func (c *Client) Delete(ctx context.Context, collection, filter string) error {
	var f bson.D
	if err := bson.UnmarshalExtJSON([]byte(filter), false, &f); err != nil {
		return err
	}
	_, err := c.db.Collection(collection).DeleteOne(ctx, f)
	return err
}
