package testkit

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// Starting a replica set takes two commands. They are spoken here over the wire
// protocol (OP_MSG), so that the MongoDB driver stays in its own package.

// A bsonDoc is a BSON document of strings, int32s and documents.
type bsonDoc []bsonField

type bsonField struct {
	name  string
	value any
}

func (d bsonDoc) append(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, f := range d {
		switch v := f.value.(type) {
		case string:
			b = append(append(append(b, 0x02), f.name...), 0)
			b = binary.LittleEndian.AppendUint32(b, uint32(len(v)+1))
			b = append(append(b, v...), 0)
		case int32:
			b = append(append(append(b, 0x10), f.name...), 0)
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case bsonDoc:
			b = append(append(append(b, 0x03), f.name...), 0)
			b = v.append(b)
		case []bsonDoc:
			b = append(append(append(b, 0x04), f.name...), 0)
			var items bsonDoc
			for i, item := range v {
				items = append(items, bsonField{fmt.Sprint(i), item})
			}
			b = items.append(b)
		}
	}
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

const (
	mongoOpMsg   = 2013
	mongoTimeout = 10 * time.Second
)

// mongoCommand runs one command on one server and returns the reply's document.
// A reply that is not ok is an error with the server's message.
func mongoCommand(address string, command bsonDoc) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), mongoTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(mongoTimeout)); err != nil {
		return nil, err
	}
	// Header: length, request id, response to, op code; then flag bits and the
	// section of kind 0.
	msg := make([]byte, 16, 512)
	binary.LittleEndian.PutUint32(msg[4:], 1)
	binary.LittleEndian.PutUint32(msg[12:], mongoOpMsg)
	msg = append(msg, 0, 0, 0, 0, 0)
	msg = command.append(msg)
	binary.LittleEndian.PutUint32(msg, uint32(len(msg)))
	if _, err := conn.Write(msg); err != nil {
		return nil, err
	}
	var header [16]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header[:])
	if size < 26 || size > 1<<20 {
		return nil, fmt.Errorf("reply of %d bytes", size)
	}
	body := make([]byte, size-16)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	reply := body[5:]
	if !bsonTrue(reply, "ok") {
		return nil, fmt.Errorf("the server refused %s: %q", command[0].name, bsonText(reply, "errmsg"))
	}
	return reply, nil
}

// bsonTrue reports whether a top-level field is true or the double 1.
func bsonTrue(doc []byte, name string) bool {
	kind, value := bsonFind(doc, name)
	switch kind {
	case 0x08:
		return value[0] == 1
	case 0x01:
		return binary.LittleEndian.Uint64(value) != 0
	}
	return false
}

func bsonText(doc []byte, name string) string {
	if kind, value := bsonFind(doc, name); kind == 0x02 {
		return string(value[4 : len(value)-1])
	}
	return ""
}

// bsonFind returns a top-level field's type and value. It knows the types that
// servers use in the replies above, and stops at any other.
func bsonFind(doc []byte, name string) (byte, []byte) {
	for rest := doc[4:]; len(rest) > 1; {
		kind := rest[0]
		end := 1
		for rest[end] != 0 {
			end++
		}
		key := string(rest[1:end])
		rest = rest[end+1:]
		var size int
		switch kind {
		case 0x01, 0x09, 0x11, 0x12:
			size = 8
		case 0x02:
			size = 4 + int(binary.LittleEndian.Uint32(rest))
		case 0x03, 0x04:
			size = int(binary.LittleEndian.Uint32(rest))
		case 0x05:
			size = 5 + int(binary.LittleEndian.Uint32(rest))
		case 0x07:
			size = 12
		case 0x08:
			size = 1
		case 0x10:
			size = 4
		default:
			return 0, nil
		}
		if key == name {
			return kind, rest[:size]
		}
		rest = rest[size:]
	}
	return 0, nil
}
