package mongotest

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/oslcbus/oslcbus/adapters/mongodb"
)

// Perform makes changes on a real server, one after the other, in a database of
// the given name instead of their own: as inserts, as updates that set and remove
// what the change says, and as deletions.
func Perform(ctx context.Context, uri, database string, changes ...mongodb.Change) error {
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	for _, c := range changes {
		collection := client.Database(database).Collection(c.Collection)
		id := bson.D{{Key: "_id", Value: bson.RawValue{Type: bson.Type(c.ID.Type), Value: c.ID.Data}}}
		switch c.Op {
		case mongodb.OpInsert:
			_, err = collection.InsertOne(ctx, bson.Raw(c.Full))
		case mongodb.OpReplace:
			_, err = collection.ReplaceOne(ctx, id, bson.Raw(c.Full))
		case mongodb.OpDelete:
			_, err = collection.DeleteOne(ctx, id)
		case mongodb.OpUpdate:
			var update bson.D
			if !c.Update.Set.IsEmpty() {
				update = append(update, bson.E{Key: "$set", Value: bson.Raw(c.Update.Set)})
			}
			var unset bson.D
			for path := range (mongodb.Value{Type: mongodb.TypeArray, Data: c.Update.Unset}).Items() {
				unset = append(unset, bson.E{Key: path.Str(), Value: ""})
			}
			if len(unset) > 0 {
				update = append(update, bson.E{Key: "$unset", Value: unset})
			}
			_, err = collection.UpdateOne(ctx, id, update)
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", c.Op, c.Collection, err)
		}
	}
	return nil
}

// Drop drops a database on a real server.
func Drop(ctx context.Context, uri, database string) error {
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return err
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	return client.Database(database).Drop(ctx)
}
