// Package bus carries events from sources to subscribers: a Log is an ordered,
// durable record of messages in topics, and everything else reads it.
//
// # Delivery
//
// A change is on the log once: a source hands its cursor over with each message,
// and whoever owns the source next resumes right after the newest cursor found
// there. A subscriber gets each message at least once and recognises a repeat by
// its id. Messages with one key are delivered in the order in which they were
// appended, and handled one after the other.
//
// # Durability
//
// Append returns when the driver's medium has the batch: the SQLite file with
// synchronous=FULL, or all in-sync replicas of the Kafka partition.
//
// # Drivers
//
// The SQLite log is in internal/sqlite, Apache Kafka in bus/kafka. Package
// bustest is the suite that each must pass.
package bus
