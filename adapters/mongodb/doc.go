// Package mongodb turns the changes of MongoDB collections into events, as they
// happen, out of a change stream. The adapter "mongodb" watches any collection by
// configuration; other adapters, such as package stackstorm, bring mappings of
// their own and run the same watcher.
//
// What becomes an event: each insert, update, replacement and deletion of a
// document whose mapped resource differs afterwards. An update that leaves the
// resource as it is moves the cursor and says nothing. A dropped or renamed
// collection deletes its resources.
//
// What an event holds: the resource exactly as that change left it. The state
// comes from the post-image where the collection keeps them, else from the
// watcher's own copy with the change applied, else from a read at the change's own
// cluster time. The stream's updateLookup is not used: it returns later states.
//
// What is promised: every change is emitted at least once, in MongoDB's order,
// with an identifier that is derived from its resume token. Where the history is
// gone, or the server is another one, the watcher says so by kind Gone, and its
// next run compares everything with the log and emits the differences.
//
// The server must be a replica set or a sharded cluster, version 5.0 or newer;
// from 6.0 on images are used where the collection has them.
package mongodb
