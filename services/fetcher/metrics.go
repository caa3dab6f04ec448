package fetcher

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	success *prometheus.GaugeVec
}

func newMetrics() metrics {
	return metrics{
		success: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "earshot_source_last_success_timestamp_seconds",
			Help: "When a source was last read without an error.",
		}, []string{"source"}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.success))
}
