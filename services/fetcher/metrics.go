package fetcher

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	success, listening, missed *prometheus.GaugeVec

	canary     prometheus.Histogram
	canaryBack prometheus.Gauge
}

func newMetrics() metrics {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"source"})
	}
	return metrics{
		success:   gauge("earshot_source_last_success_timestamp_seconds", "When a source was last read without an error."),
		listening: gauge("earshot_source_listening", "1 while a source is heard, 0 while its fetches fail."),
		missed:    gauge("earshot_source_missed_seconds", "How much of the last seven days a source was not heard, and not caught up with."),
		canary: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "earshot_canary_seconds", Help: "How long canaries were on their way from the fetcher into the index.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}),
		canaryBack: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "earshot_canary_last_arrival_timestamp_seconds", Help: "When the last canary came through.",
		}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.success), r.Register(m.listening), r.Register(m.missed), r.Register(m.canary), r.Register(m.canaryBack))
}

// forget takes out what is told of a source that is not run any more.
func (m metrics) forget(id string) {
	for _, g := range []*prometheus.GaugeVec{m.success, m.listening, m.missed} {
		g.DeleteLabelValues(id)
	}
}
