// Package kafka keeps a bus.Log on Apache Kafka 2.5 or newer, with
// github.com/segmentio/kafka-go as the client.
//
// # Once on the log
//
// A publisher encodes its record batches itself, with a producer id, an epoch and
// a sequence, and sends the same bytes until the broker has acknowledged them, one
// batch at a time for each partition. The broker drops what it has already, in
// whatever order attempts reach it (KIP-98).
//
// # One owner
//
// Own asks for a producer id under a transactional id that is derived from the
// source's name, which gives the next owner the same id with a higher epoch; no
// transaction is opened. It then appends a marker to every partition that it may
// write. From there on the broker refuses the batches of every earlier owner.
// Whatever an earlier owner got in before is found by reading the partitions
// back, so nothing is lost and nothing is written twice, also where the fate of a
// batch was unknown when its owner died.
//
// # What a record carries
//
// Besides the headers of the message:
//
//	oslcbus_source  the source's name
//	oslcbus_batch   "12.3/40": record 3 (from 0) of the 40 of the source's batch 12
//	oslcbus_cursor  the cursor to resume after once records 0 to this one are there
//	oslcbus_after   the cursor before the batch, empty for none; on its first record
//	                in each partition
//	oslcbus_floor   the oldest batch with ids that may be emitted again; rarely there
//
// Kafka has no atomic append to several partitions outside of transactions. An
// owner that finds a batch in parts resumes after the part that is whole from its
// beginning, and skips the ids of the records that lie behind a gap.
//
// Markers are CloudEvents of the types oslcbus.source.started and
// oslcbus.source.cursor. Readers of this package hide them, and the headers above;
// an offset without a message is therefore normal.
//
// # Reading
//
// A reader follows each partition with fetch requests of its own. kafka-go's Reader
// and Writer are not used: they retry out-of-range offsets for ever, commit
// backwards, and duplicate and reorder on time-outs. In a group, what a lost
// generation still commits is refused.
//
// Records of transactions that were aborted by other producers are delivered as
// well; the bus itself writes none.
//
// # Limits
//
// A cluster that elects a leader that was not in sync (unclean.leader.election.enable)
// loses records that it had acknowledged, and nobody is told. Keep it off, as it is
// by default, and min.insync.replicas at 2 with three replicas.
//
// A cursor lives as long as the topic keeps a record of its source. A running source
// writes it anew every CursorEvery when it appends anything at all, even a cursor
// that has not moved.
//
// # Errors
//
// Own, Open, Append and Hold try again while their context lasts when the cluster
// is away, and log that once for each outage. Denied means credentials or rights,
// Conflict a newer owner or a lost partition, Gone a topic that no longer has what
// was asked for, and Invalid a name or a message that the cluster can't take.
package kafka
