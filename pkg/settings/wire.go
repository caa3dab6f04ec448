package settings

import (
	"github.com/earshot/earshot/pkg/bus"
	pb "github.com/earshot/earshot/proto/earshot/v1"
)

var journal = bus.NewJournal(bus.Settings,
	bus.ProtoCodec(
		func(c *change) *pb.Setting {
			return &pb.Setting{
				Change: c.ID, Kind: c.Kind, Id: c.Key, Actor: c.Actor, At: bus.Millis(c.At), Deleted: c.Deleted, Value: c.Value,
			}
		},
		func(p *pb.Setting) change {
			return change{
				ID: p.Change, Kind: p.Kind, Key: p.Id, Actor: p.Actor, At: bus.Time(p.At), Deleted: p.Deleted, Value: p.Value,
			}
		}),
	func(c *change) (string, *uint64) { return c.ID, &c.Seq })
