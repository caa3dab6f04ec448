package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Answer serves requests on ctl.<service>.<verb> until ctx ends. Processes that
// serve the same verb share them. Requests and answers are JSON.
func Answer[Req, Res any](ctx context.Context, c *Conn, service, verb string, h func(context.Context, Req) (Res, error)) error {
	sub, err := c.nc.QueueSubscribe("ctl."+service+"."+verb, service, func(m *nats.Msg) {
		go func() {
			var (
				req Req
				res Res
			)
			err := json.Unmarshal(m.Data, &req)
			if err == nil {
				res, err = h(ctx, req)
			}
			reply := &nats.Msg{Subject: m.Reply, Header: nats.Header{}}
			if err != nil {
				reply.Header.Set("Earshot-Error", err.Error())
			} else if reply.Data, err = json.Marshal(res); err != nil {
				reply.Header.Set("Earshot-Error", err.Error())
			}
			_ = m.RespondMsg(reply)
		}()
	})
	if err != nil {
		return fmt.Errorf("bus: serve ctl.%s.%s: %w", service, verb, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return nil
}

// ErrAbsent says that no process runs the service that was called.
var ErrAbsent = errors.New("the service is not running")

// Ask sends a request to ctl.<service>.<verb> and waits for its answer.
func Ask[Req, Res any](ctx context.Context, c *Conn, service, verb string, req Req) (Res, error) {
	var res Res
	data, err := json.Marshal(req)
	if err != nil {
		return res, err
	}
	msg, err := c.nc.RequestWithContext(ctx, "ctl."+service+"."+verb, data)
	if errors.Is(err, nats.ErrNoResponders) {
		return res, fmt.Errorf("%s: %w", service, ErrAbsent)
	}
	if err != nil {
		return res, fmt.Errorf("%s %s: %w", service, verb, err)
	}
	if text := msg.Header.Get("Earshot-Error"); text != "" {
		return res, errors.New(text)
	}
	return res, json.Unmarshal(msg.Data, &res)
}

// Tell publishes v as JSON on live.<subject>. It is for what may be missed: the
// desk's live updates and presence.
func (c *Conn) Tell(subject string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.nc.Publish("live."+subject, data)
}

// Hear calls h for every value told on live.<subject> until ctx ends; subject
// may end in ".>". Calls come one after the other.
func Hear[T any](ctx context.Context, c *Conn, subject string, h func(subject string, v T)) error {
	sub, err := c.nc.Subscribe("live."+subject, func(m *nats.Msg) {
		var v T
		if err := json.Unmarshal(m.Data, &v); err != nil {
			c.log.Warn("live message cannot be read", "subject", m.Subject, "error", err)
			return
		}
		h(m.Subject[len("live."):], v)
	})
	if err != nil {
		return fmt.Errorf("bus: hear live.%s: %w", subject, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return nil
}
