package cloudevents_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	bindingtest "github.com/cloudevents/sdk-go/v2/binding/test"
	"github.com/cloudevents/sdk-go/v2/event"
	sdktest "github.com/cloudevents/sdk-go/v2/test"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/bus/cloudevents"
	"github.com/oslcbus/oslcbus/oslc"
)

// TestMatrix sends the SDK's own events through each pair of modes, with and
// without a key.
func TestMatrix(t *testing.T) {
	t.Parallel()
	modes := map[string]struct {
		in   func(testing.TB, event.Event) binding.Message
		ctx  func(context.Context) context.Context
		want binding.Encoding
	}{
		"structured to structured": {
			in: bindingtest.MustCreateMockStructuredMessage,
			ctx: func(ctx context.Context) context.Context {
				return binding.WithPreferredEventEncoding(ctx, binding.EncodingStructured)
			},
			want: binding.EncodingStructured,
		},
		"structured to binary": {
			in:   bindingtest.MustCreateMockStructuredMessage,
			ctx:  binding.WithForceBinary,
			want: binding.EncodingBinary,
		},
		"binary to binary": {
			in:   func(_ testing.TB, e event.Event) binding.Message { return bindingtest.MustCreateMockBinaryMessage(e) },
			ctx:  func(ctx context.Context) context.Context { return ctx },
			want: binding.EncodingBinary,
		},
		"binary to structured": {
			in:   func(_ testing.TB, e event.Event) binding.Message { return bindingtest.MustCreateMockBinaryMessage(e) },
			ctx:  binding.WithForceStructured,
			want: binding.EncodingStructured,
		},
		"event to structured": {
			in: func(_ testing.TB, e event.Event) binding.Message { return binding.ToMessage(&e) },
			ctx: func(ctx context.Context) context.Context {
				return binding.WithPreferredEventEncoding(ctx, binding.EncodingStructured)
			},
			want: binding.EncodingStructured,
		},
		"event to binary": {
			in:   func(_ testing.TB, e event.Event) binding.Message { return binding.ToMessage(&e) },
			ctx:  func(ctx context.Context) context.Context { return ctx },
			want: binding.EncodingBinary,
		},
	}
	for name, mode := range modes {
		for _, key := range []string{"", "the-key"} {
			for _, keep := range []bool{false, true} {
				sdktest.EachEvent(t, sdktest.Events(), func(t *testing.T, in event.Event) {
					in = sdktest.ConvertEventExtensionsToString(t, in)
					if key != "" {
						in.SetExtension("partitionkey", key)
					}
					ctx, wantKey := mode.ctx(t.Context()), "before"
					if keep {
						ctx = cloudevents.WithKey(ctx)
					} else if key != "" {
						wantKey = key
					}
					out := bus.Message{Key: "before", Value: []byte("stale"), Header: bus.Header{{Name: "stale", Value: "x"}}}
					if err := cloudevents.Write(ctx, mode.in(t, in.Clone()), &out); err != nil {
						t.Fatal(err)
					}
					if out.Key != wantKey {
						t.Errorf("%s: key is %q, want %q", name, out.Key, wantKey)
					}
					if out.Header.Get("stale") != "" {
						t.Errorf("%s: a header of before is still there", name)
					}
					got := cloudevents.Message(out)
					if got.ReadEncoding() != mode.want {
						t.Errorf("%s: encoding is %v, want %v", name, got.ReadEncoding(), mode.want)
					}
					e, err := binding.ToEvent(t.Context(), got)
					if err != nil {
						t.Fatal(err)
					}
					sdktest.AssertEventEquals(t, in, sdktest.ConvertEventExtensionsToString(t, *e))

					asBinary, err := cloudevents.ToBinary(out)
					if err != nil {
						t.Fatal(err)
					}
					again := cloudevents.Message(asBinary)
					if again.ReadEncoding() != binding.EncodingBinary {
						t.Errorf("%s: ToBinary gives encoding %v", name, again.ReadEncoding())
					}
					if e, err = binding.ToEvent(t.Context(), again); err != nil {
						t.Fatal(err)
					}
					sdktest.AssertEventEquals(t, in, sdktest.ConvertEventExtensionsToString(t, *e))
				})
			}
		}
	}
}

// TestConformance has the three scenarios of the CloudEvents conformance suite for
// the Kafka protocol binding (features/kafka-protocol-binding.feature).
func TestConformance(t *testing.T) {
	t.Parallel()
	const data = `{"message": "Hello World!"}`
	attributes := map[string]string{
		"specversion": "1.0", "id": "1234-1234-1234", "type": "com.example.someevent",
		"source": "/mycontext/subcontext", "time": "2018-04-05T03:56:24Z", "datacontenttype": "application/json",
	}
	binary := bus.Message{
		Value: []byte(data),
		Header: bus.Header{
			{Name: "ce_specversion", Value: "1.0"},
			{Name: "ce_type", Value: "com.example.someevent"},
			{Name: "ce_time", Value: "2018-04-05T03:56:24Z"},
			{Name: "ce_id", Value: "1234-1234-1234"},
			{Name: "ce_source", Value: "/mycontext/subcontext"},
			{Name: "content-type", Value: "application/json"},
		},
	}
	withCharset := binary
	withCharset.Header = append(bus.Header(nil), binary.Header...)
	withCharset.Header.Set("content-type", "application/json; charset=utf-8")
	structured := bus.Message{
		Value: []byte(`{"specversion":"1.0","type":"com.example.someevent","time":"2018-04-05T03:56:24Z","id":"1234-1234-1234",` +
			`"source":"/mycontext/subcontext","datacontenttype":"application/json","data":` + data + `}`),
		Header: bus.Header{{Name: "content-type", Value: "application/cloudevents+json; charset=UTF-8"}},
	}
	upper := binary
	upper.Header = nil
	for _, h := range binary.Header {
		upper.Header = append(upper.Header, bus.Field{Name: "CE_" + h.Name[3:], Value: h.Value})
	}
	upper.Header[5].Name = "Content-Type"
	for name, m := range map[string]bus.Message{
		"binary": binary, "binary with charset": withCharset, "structured": structured, "names in upper case": upper,
	} {
		e, err := binding.ToEvent(t.Context(), cloudevents.Message(m))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := map[string]string{
			"specversion": e.SpecVersion(), "id": e.ID(), "type": e.Type(), "source": e.Source(),
			"time": types.FormatTime(e.Time()), "datacontenttype": e.DataMediaType(),
		}
		if diff := cmp.Diff(attributes, got); diff != "" {
			t.Errorf("%s: attributes (-want +got):\n%s", name, diff)
		}
		var want, have any
		if err := json.Unmarshal([]byte(data), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(e.Data(), &have); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s: data (-want +got):\n%s", name, diff)
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	m := bus.Message{Header: bus.Header{
		{Name: "ce_specversion", Value: "1.0"},
		{Name: "ce_id", Value: "7"},
		{Name: "ce_traceparent", Value: "00-x"},
		{Name: "content-type", Value: "text/turtle"},
	}}
	r, ok := cloudevents.Message(m).(binding.MessageMetadataReader)
	if !ok {
		t.Fatal("no metadata")
	}
	for kind, want := range map[spec.Kind]any{spec.ID: "7", spec.DataContentType: "text/turtle", spec.Subject: nil} {
		if _, got := r.GetAttribute(kind); got != want {
			t.Errorf("attribute %v: got %v, want %v", kind, got, want)
		}
	}
	if got := r.GetExtension("traceparent"); got != "00-x" {
		t.Errorf("extension: got %v", got)
	}
	if got := r.GetExtension("absent"); got != nil {
		t.Errorf("absent extension: got %v, want nil", got)
	}
	none := cloudevents.Message(bus.Message{}).(binding.MessageMetadataReader)
	if a, v := none.GetAttribute(spec.ID); a != nil || v != nil {
		t.Errorf("attribute of no event: got %v %v", a, v)
	}
}

// TestNoEvent checks what is not read: other messages, batches, other versions.
func TestNoEvent(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]bus.Header{
		"no headers":      nil,
		"plain JSON":      {{Name: "content-type", Value: "application/json"}},
		"batch":           {{Name: "content-type", Value: "application/cloudevents-batch+json"}},
		"unknown version": {{Name: "ce_specversion", Value: "9.9"}, {Name: "ce_id", Value: "1"}},
	} {
		m := bus.Message{Header: h, Value: []byte("[]")}
		if got := cloudevents.Message(m).ReadEncoding(); got != binding.EncodingUnknown {
			t.Errorf("%s: encoding is %v, want unknown", name, got)
		}
		if _, err := cloudevents.ToBinary(m); !errors.Is(err, oslc.Invalid) {
			t.Errorf("%s: ToBinary: got %v, want kind invalid", name, err)
		}
	}
	broken := bus.Message{Header: bus.Header{{Name: "content-type", Value: "application/cloudevents+json"}}}
	for _, value := range []string{"", "{", "[]", "null", `{"specversion":"1.0"}`, `{"specversion":"1.0","id":"","type":"t","source":"s"}`} {
		broken.Value = []byte(value)
		if _, err := cloudevents.ToBinary(broken); !errors.Is(err, oslc.Invalid) {
			t.Errorf("structured %q: got %v, want kind invalid", value, err)
		}
	}
}

// TestNoData: an event without data in binary mode has no value, which is a
// tombstone on a compacted topic; in structured mode it never is.
func TestNoData(t *testing.T) {
	t.Parallel()
	e := sdktest.MinEvent()
	var out bus.Message
	if err := cloudevents.Write(t.Context(), binding.ToMessage(&e), &out); err != nil {
		t.Fatal(err)
	}
	if out.Value != nil {
		t.Errorf("value is %q, want nil", out.Value)
	}
	if err := cloudevents.Write(binding.WithForceStructured(t.Context()), binding.ToMessage(&e), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Value) == 0 {
		t.Error("a structured event has no value")
	}
}

// TestTransformer checks that a transformer replaces and removes headers.
func TestTransformer(t *testing.T) {
	t.Parallel()
	e := sdktest.FullEvent()
	var out bus.Message
	err := cloudevents.Write(t.Context(), binding.ToMessage(&e), &out, binding.TransformerFunc(
		func(_ binding.MessageMetadataReader, w binding.MessageMetadataWriter) error {
			for _, value := range []any{"one", "two"} {
				if err := w.SetExtension("Hops", value); err != nil {
					return err
				}
			}
			return w.SetAttribute(spec.V1.AttributeFromKind(spec.Subject), nil)
		}))
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Header.Get("ce_hops"); got != "two" {
		t.Errorf("ce_hops is %q, want two", got)
	}
	if got := out.Header.Get("ce_subject"); got != "" {
		t.Errorf("ce_subject is %q, want none", got)
	}
}

func FuzzToBinary(f *testing.F) {
	f.Add("application/cloudevents+json", []byte(`{"specversion":"1.0","id":"1","type":"t","source":"s","data":{"a":1}}`))
	f.Add("application/cloudevents+json", []byte(`{"specversion":"1.0","id":"1","type":"t","source":"s","data_base64":"AAA="}`))
	f.Add("application/json", []byte(`{}`))
	f.Fuzz(func(t *testing.T, contentType string, value []byte) {
		out, err := cloudevents.ToBinary(bus.Message{Value: value, Header: bus.Header{{Name: "content-type", Value: contentType}}})
		if err != nil {
			return
		}
		if out.Header.Get("ce_specversion") == "" || out.ID() == "" {
			t.Errorf("an event without version or id: %v", out.Header)
		}
		again, err := cloudevents.ToBinary(out)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(out) {
			t.Errorf("a second time: %v, %v", again, err)
		}
	})
}

func BenchmarkToBinary(b *testing.B) {
	m := bus.Message{Header: bus.Header{{Name: "ce_specversion", Value: "1.0"}, {Name: "ce_id", Value: "1"}}}
	b.Run("binary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cloudevents.ToBinary(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	s := bus.Message{
		Header: bus.Header{{Name: "content-type", Value: "application/cloudevents+json"}},
		Value:  []byte(`{"specversion":"1.0","id":"1","type":"t","source":"s","data":{"a":1}}`),
	}
	b.Run("structured", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cloudevents.ToBinary(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
