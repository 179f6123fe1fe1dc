package oslcbus

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/oslcbus/oslcbus/adapters"
)

// metrics are what /metrics shows. Labels come from closed sets: names of the
// configuration, kinds, verdicts and routes.
type metrics struct {
	events      *prometheus.CounterVec   // provider, change
	damaged     *prometheus.CounterVec   // topic
	lag         *prometheus.GaugeVec     // topic, partition
	requests    *prometheus.CounterVec   // tool, verdict
	attempts    *prometheus.CounterVec   // tool, kind
	seconds     *prometheus.HistogramVec // tool
	waiting     *prometheus.GaugeVec     // tool
	running     *prometheus.GaugeVec     // tool
	throttled   *prometheus.CounterVec   // tool
	paused      *prometheus.GaugeVec     // tool
	deadLetters *prometheus.CounterVec   // topic
	looped      prometheus.Counter
	rules       prometheus.Gauge
	rulesOld    prometheus.Gauge
	reloads     *prometheus.CounterVec // result
	noticed     *prometheus.CounterVec // adapter, what
	published   *prometheus.CounterVec // adapter
	http        *prometheus.CounterVec // route, code
	httpSeconds *prometheus.HistogramVec

	subscriptions   *prometheus.GaugeVec // state
	deliveryLag     prometheus.Gauge
	deliveries      *prometheus.CounterVec // outcome
	deliverySeconds prometheus.Histogram
	streams         prometheus.Gauge
	dropped         *prometheus.CounterVec // reason
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		published: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_published_total", Help: "Events that a source put on the log.",
		}, []string{"adapter"}),
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_events_total", Help: "Events folded into the views.",
		}, []string{"provider", "change"}),
		damaged: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_damaged_records_total", Help: "Records on a topic that are no event.",
		}, []string{"topic"}),
		lag: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "oslcbus_views_lag_records", Help: "Records on the log that are not in the views yet.",
		}, []string{"topic", "partition"}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_requests_total", Help: "Requests that ended.",
		}, []string{"tool", "verdict"}),
		attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_attempts_total", Help: "Calls of executors; kind is ok or the kind of the error.",
		}, []string{"tool", "kind"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "oslcbus_attempt_seconds", Help: "Time of a call of an executor.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 12),
		}, []string{"tool"}),
		waiting: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "oslcbus_requests_waiting", Help: "Requests that were taken up and wait: for a place, the rate, the end of a pause, or the next attempt.",
		}, []string{"tool"}),
		running: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "oslcbus_requests_running", Help: "Requests that tools are being called for.",
		}, []string{"tool"}),
		throttled: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_throttled_total", Help: "Calls that waited because of the connection's rate.",
		}, []string{"tool"}),
		paused: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "oslcbus_paused", Help: "1 while a connection is paused, else 0.",
		}, []string{"tool"}),
		deadLetters: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_dead_letters_total", Help: "Messages set aside.",
		}, []string{"topic"}),
		looped: f.NewCounter(prometheus.CounterOpts{
			Name: "oslcbus_loops_total", Help: "Events that a rule did not answer because they are its own echo, or too many requests led to them.",
		}),
		rules: f.NewGauge(prometheus.GaugeOpts{
			Name: "oslcbus_rules", Help: "Rules in force.",
		}),
		rulesOld: f.NewGauge(prometheus.GaugeOpts{
			Name: "oslcbus_rules_outdated", Help: "1 while the files of the rules hold an error, and those that were before are in force.",
		}),
		reloads: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_rules_reloads_total", Help: "Times that the rules were read again; result is ok or failed.",
		}, []string{"result"}),
		noticed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_adapter_total", Help: "What adapters noticed, such as documents that do not fit.",
		}, []string{"adapter", "what"}),
		http: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_http_requests_total", Help: "HTTP requests answered.",
		}, []string{"route", "code"}),
		httpSeconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "oslcbus_http_request_seconds", Help: "Time to answer an HTTP request.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 3, 10),
		}, []string{"route"}),
		subscriptions: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "oslcbus_webhook_subscriptions", Help: "Subscriptions, on the replica that sends; state is active, failing, paused or disabled.",
		}, []string{"state"}),
		deliveryLag: f.NewGauge(prometheus.GaugeOpts{
			Name: "oslcbus_webhook_lag_records", Help: "Records on the log that the subscription that is furthest behind has still to come to, on the replica that sends; paused and disabled ones are left out.",
		}),
		deliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_webhook_deliveries_total", Help: "Deliveries to subscribers that were tried; outcome is delivered or the kind of the error.",
		}, []string{"outcome"}),
		streams: f.NewGauge(prometheus.GaugeOpts{
			Name: "oslcbus_event_streams", Help: "Clients of /events that are connected.",
		}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "oslcbus_event_streams_dropped_total", Help: "Clients of /events that were dropped: stalled took nothing for too long, behind was too slow for what is kept.",
		}, []string{"reason"}),
		deliverySeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "oslcbus_webhook_delivery_seconds", Help: "Time a subscriber takes for an answer.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 11),
		}),
	}
}

// skips has a gauge of what a source goes on without.
func skips(reg prometheus.Registerer, adapter string, s adapters.Skipper) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "oslcbus_skipped_resources", Help: "Resources of a tool that its source goes on without; /skipped lists them.",
		ConstLabels: prometheus.Labels{"adapter": adapter},
	}, func() float64 { return float64(len(s.Skipped())) })
}

// counter is the adapters.Metrics of one connection.
type counter struct {
	m       *metrics
	adapter string
}

func (c counter) Count(what string, n int) {
	c.m.noticed.WithLabelValues(c.adapter, what).Add(float64(n))
}
