package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/mapping"
	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/server"
)

// How CloudEvents travel over HTTP (HTTP Protocol Binding 1.0.2, sections 3.1 to 3.3).
const (
	attributePrefix = "ce-"
	structuredType  = "application/cloudevents+json"
	batchType       = "application/cloudevents-batch+json"
)

var specs = spec.WithPrefix(attributePrefix)

// structured reads an event that is all in the body.
func (r *receiver) structured(req *http.Request, body []byte) ([]adapters.Delivery, error) {
	var e event.Event
	if err := format.JSON.Unmarshal(body, &e); err != nil {
		return nil, oslc.E("webhook.cloudevent", err, oslc.Invalid)
	}
	d, err := r.delivery(req, e)
	return []adapters.Delivery{d}, err
}

// batch reads several such events.
func (r *receiver) batch(req *http.Request, body []byte) ([]adapters.Delivery, error) {
	var all []event.Event
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, oslc.E("webhook.cloudevent", err, oslc.Invalid)
	}
	var out []adapters.Delivery
	for i, e := range all {
		d, err := r.delivery(req, e)
		if err != nil {
			return nil, oslc.E("webhook.cloudevent", fmt.Errorf("event %d: %w", i, err))
		}
		out = append(out, d)
	}
	return out, nil
}

// binary reads an event whose attributes are header fields.
func (r *receiver) binary(req *http.Request, body []byte) ([]adapters.Delivery, error) {
	v := specs.Version(req.Header.Get(attributePrefix + "specversion"))
	if v == nil {
		return nil, oslc.Errorf("webhook.cloudevent", oslc.Invalid, "CloudEvents %q is not read; there is 1.0", req.Header.Get(attributePrefix+"specversion"))
	}
	e, err := binding.ToEvent(req.Context(), &binaryMessage{req.Header, v, body})
	if err != nil {
		return nil, oslc.E("webhook.cloudevent", err, oslc.Invalid)
	}
	d, err := r.delivery(req, *e)
	return []adapters.Delivery{d}, err
}

// delivery checks an event and keeps its attributes beside the data.
func (r *receiver) delivery(req *http.Request, e event.Event) (adapters.Delivery, error) {
	const op = "webhook.cloudevent"
	if err := e.Validate(); err != nil {
		return adapters.Delivery{}, oslc.E(op, err, oslc.Invalid)
	}
	d := adapters.Delivery{ID: e.Source() + " " + e.ID(), Header: r.kept(req), Body: e.Data()}
	if len(d.Body) == 0 {
		d.Body = []byte("null")
	}
	if kind := e.DataContentType(); kind != "" && !strings.HasSuffix(strings.TrimSpace(strings.Split(kind, ";")[0]), "json") {
		return d, server.Statusf(http.StatusUnsupportedMediaType, "the data of the CloudEvent is "+kind+", only JSON is read")
	}
	if _, err := mapping.ParseJSON(d.Body); err != nil {
		return d, err
	}
	set := func(name, value string) {
		if value != "" {
			d.Header[attributePrefix+name] = value
		}
	}
	set("id", e.ID())
	set("source", e.Source())
	set("type", e.Type())
	set("subject", e.Subject())
	set("dataschema", e.DataSchema())
	if !e.Time().IsZero() {
		set("time", types.FormatTime(e.Time()))
	}
	for name, value := range e.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			return d, oslc.E(op, err, oslc.Invalid)
		}
		set(name, text)
	}
	return d, nil
}

var (
	_ binding.Message               = (*binaryMessage)(nil)
	_ binding.MessageMetadataReader = (*binaryMessage)(nil)
)

// A binaryMessage implements binding.Message for a request in binary mode.
type binaryMessage struct {
	header  http.Header
	version spec.Version
	body    []byte
}

func (m *binaryMessage) ReadEncoding() binding.Encoding { return binding.EncodingBinary }

func (m *binaryMessage) ReadStructured(context.Context, binding.StructuredWriter) error {
	return binding.ErrNotStructured
}

func (m *binaryMessage) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	for name := range m.header {
		key := strings.ToLower(name)
		if !strings.HasPrefix(key, attributePrefix) {
			continue
		}
		value, err := url.PathUnescape(m.header.Get(name)) // section 3.1.3.2
		if err != nil {
			return err
		}
		if a := m.version.Attribute(key); a != nil {
			err = w.SetAttribute(a, value)
		} else {
			err = w.SetExtension(strings.TrimPrefix(key, attributePrefix), value)
		}
		if err != nil {
			return err
		}
	}
	if err := w.SetAttribute(m.version.AttributeFromKind(spec.DataContentType), m.header.Get("Content-Type")); err != nil {
		return err
	}
	return w.SetData(bytes.NewReader(m.body))
}

func (m *binaryMessage) Finish(error) error { return nil }

func (m *binaryMessage) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	a := m.version.AttributeFromKind(k)
	if a == nil {
		return nil, nil
	}
	name := a.PrefixedName()
	if k == spec.DataContentType {
		name = "Content-Type"
	}
	return a, m.field(name)
}

func (m *binaryMessage) GetExtension(name string) any { return m.field(attributePrefix + name) }

// field returns a text, or nil when there is no such header field.
func (m *binaryMessage) field(name string) any {
	if v := m.header.Get(name); v != "" {
		return v
	}
	return nil
}
