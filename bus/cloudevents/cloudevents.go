// Package cloudevents binds the messages of the bus to the CloudEvents SDK for Go,
// after the CloudEvents Kafka Protocol Binding 1.0.2: context attributes are
// headers that begin with "ce_", the data content type is the header
// content-type, and data is the value.
//
// Events are written in binary mode, unless the caller of Write asks for another.
// Both modes are read.
//
// Where the binding leaves a choice: the key of a message comes from the extension
// partitionkey, which stays an attribute of the event, as the specification wants
// (section 3.1). A batch of events in one message is none of the modes of the
// binding and is read as unknown.
package cloudevents

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

const (
	prefix       = "ce_"
	contentType  = "content-type"
	partitionKey = "partitionkey"
	batchSuffix  = "-batch"
)

var specs = spec.WithPrefix(prefix)

// Message returns m as a message of the SDK, which shares m's value.
func Message(m bus.Message) binding.Message {
	out := &message{Message: m}
	version := ""
	for i := range m.Header {
		switch strings.ToLower(m.Header[i].Name) {
		case contentType:
			out.format = lookup(m.Header[i].Value)
		case prefix + "specversion":
			version = m.Header[i].Value
		}
	}
	if out.format == nil && version != "" {
		out.version = specs.Version(version)
	}
	return out
}

// lookup returns the format of a structured event with the media type. The SDK
// also knows batches, which this binding has not.
func lookup(mediaType string) format.Format {
	essence, _, _ := strings.Cut(mediaType, ";")
	if base, _, _ := strings.Cut(strings.TrimSpace(essence), "+"); strings.HasSuffix(strings.ToLower(base), batchSuffix) {
		return nil
	}
	return format.Lookup(mediaType)
}

// A message implements binding.Message.
type message struct {
	bus.Message
	format  format.Format // of a structured event
	version spec.Version  // of a binary event
}

var (
	_ binding.Message               = (*message)(nil)
	_ binding.MessageMetadataReader = (*message)(nil)
)

func (m *message) ReadEncoding() binding.Encoding {
	switch {
	case m.format != nil:
		return binding.EncodingStructured
	case m.version != nil:
		return binding.EncodingBinary
	}
	return binding.EncodingUnknown
}

func (m *message) ReadStructured(ctx context.Context, w binding.StructuredWriter) error {
	if m.format == nil {
		return binding.ErrNotStructured
	}
	return w.SetStructuredEvent(ctx, m.format, bytes.NewReader(m.Value))
}

func (m *message) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	if m.version == nil {
		return binding.ErrNotBinary
	}
	for _, h := range m.Header {
		name := strings.ToLower(h.Name)
		var err error
		switch {
		case strings.HasPrefix(name, prefix):
			if a := m.version.Attribute(name); a != nil {
				err = w.SetAttribute(a, h.Value)
			} else {
				err = w.SetExtension(name[len(prefix):], h.Value)
			}
		case name == contentType:
			err = w.SetAttribute(m.version.AttributeFromKind(spec.DataContentType), h.Value)
		}
		if err != nil {
			return err
		}
	}
	if m.Value == nil {
		return nil
	}
	return w.SetData(bytes.NewReader(m.Value))
}

func (m *message) Finish(error) error { return nil }

func (m *message) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	if m.version == nil {
		return nil, nil
	}
	a := m.version.AttributeFromKind(k)
	if a == nil {
		return nil, nil
	}
	name := a.PrefixedName()
	if k == spec.DataContentType {
		name = contentType
	}
	return a, m.header(name)
}

func (m *message) GetExtension(name string) any { return m.header(prefix + name) }

// header returns a string, or nil when there is no such header.
func (m *message) header(name string) any {
	for i := range m.Header {
		if strings.EqualFold(m.Header[i].Name, name) {
			return m.Header[i].Value
		}
	}
	return nil
}

type keepKey struct{}

// WithKey returns a context with which Write leaves the key of the message as it
// is, whatever the event's partitionkey.
func WithKey(ctx context.Context) context.Context { return context.WithValue(ctx, keepKey{}, true) }

// Write writes the event that in carries to out, and its partitionkey to out's
// key. Headers and value that out had are gone. The mode is binary unless in is
// structured, or binding.WithForceStructured or WithPreferredEventEncoding says
// otherwise. in is not finished.
func Write(ctx context.Context, in binding.Message, out *bus.Message, transformers ...binding.Transformer) error {
	if keep, _ := ctx.Value(keepKey{}).(bool); !keep {
		transformers = append(slices.Clone(transformers), binding.TransformerFunc(
			func(r binding.MessageMetadataReader, _ binding.MessageMetadataWriter) error {
				key := r.GetExtension(partitionKey)
				if types.IsZero(key) {
					return nil
				}
				s, err := types.Format(key)
				if err == nil {
					out.Key = s
				}
				return err
			}))
	}
	w := (*writer)(out)
	if _, err := binding.Write(ctx, in, w, w, transformers...); err != nil {
		return oslc.E("cloudevents.write", err, oslc.Invalid)
	}
	return nil
}

// ToBinary returns the event of m in binary mode, with m's key. A message that is
// in binary mode comes back as it is. One that is no CloudEvent fails with kind
// Invalid.
func ToBinary(m bus.Message) (bus.Message, error) {
	in := Message(m)
	if in.ReadEncoding() == binding.EncodingBinary {
		return m, nil
	}
	if in.ReadEncoding() != binding.EncodingStructured {
		return bus.Message{}, oslc.Errorf("cloudevents.to_binary", oslc.Invalid,
			"neither a %sspecversion of 1.0 nor a content-type of a structured event", prefix)
	}
	ctx := binding.WithForceBinary(context.Background())
	e, err := binding.ToEvent(ctx, in)
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		return bus.Message{}, oslc.E("cloudevents.to_binary", err, oslc.Invalid)
	}
	out := bus.Message{Key: m.Key}
	if m.Key != "" {
		ctx = WithKey(ctx)
	}
	if err := Write(ctx, binding.ToMessage(e), &out); err != nil {
		return bus.Message{}, err
	}
	return out, nil
}

// A writer implements the two writers of the SDK on a message.
type writer bus.Message

var (
	_ binding.StructuredWriter = (*writer)(nil)
	_ binding.BinaryWriter     = (*writer)(nil)
)

func (w *writer) SetStructuredEvent(_ context.Context, f format.Format, event io.Reader) (err error) {
	w.Header = bus.Header{{Name: contentType, Value: f.MediaType()}}
	w.Value, err = io.ReadAll(event)
	return err
}

func (w *writer) Start(context.Context) error {
	w.Header, w.Value = nil, nil
	return nil
}

func (w *writer) End(context.Context) error { return nil }

func (w *writer) SetData(data io.Reader) (err error) {
	w.Value, err = io.ReadAll(data)
	return err
}

func (w *writer) SetAttribute(a spec.Attribute, value any) error {
	if a.Kind() == spec.DataContentType {
		return w.set(contentType, value)
	}
	return w.set(prefix+a.Name(), value)
}

func (w *writer) SetExtension(name string, value any) error {
	return w.set(prefix+strings.ToLower(name), value)
}

// set replaces a header, or removes it for nil.
func (w *writer) set(name string, value any) error {
	if value == nil {
		w.Header = slices.DeleteFunc(w.Header, func(f bus.Field) bool { return f.Name == name })
		return nil
	}
	s, err := types.Format(value)
	if err != nil {
		return err
	}
	w.Header.Set(name, s)
	return nil
}
