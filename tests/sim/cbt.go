package main

import (
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Changed block tracking: change ids, and what changed since one.

// setTracking switches change tracking.  Off takes effect at once; on does so at once only when the VM does not run.
func (vm *VM) setTracking(on bool) {
	if on == vm.cbt {
		return
	}
	vm.cbt, vm.cbtPending = on, on
	if !on {
		for _, d := range vm.disks {
			d.track = tracking{}
		}
	} else if vm.power != types.VirtualMachinePowerStatePoweredOn {
		vm.stun()
	}
	vm.refresh()
}

// resetTracking gives every disk a new uuid, as something from outside would.
func (vm *VM) resetTracking() {
	for _, d := range vm.disks {
		if d.track.id != "" {
			d.track = tracking{newChangeUUID(), d.volume.era, d.track.late}
		}
	}
	vm.refresh()
}

// question is one call of QueryChangedDiskAreas, resolved.
type question struct {
	disk   *disk
	volume *volume
	view   view
	track  tracking
	era    uint32
	since  uint32 // eras after this one count
	all    bool   // "*": everything in use
	below  map[uint32]bool
}

func invalid(property string) *soap.Fault {
	return simulator.Fault("A specified parameter was not correct: "+property, &types.InvalidArgument{InvalidProperty: property})
}

// QueryChangedDiskAreas implements the method of the same name.
func (vm *VM) QueryChangedDiskAreas(req *types.QueryChangedDiskAreas) soap.HasFault {
	body := new(methods.QueryChangedDiskAreasBody)
	q, failed := vm.resolve(req)
	if failed != nil {
		body.Fault_ = failed
		return body
	}
	if vm.world.settings.OverlapLoses && !q.all && q.below[q.since] {
		q.since = q.era
	}
	areas, err := q.areas()
	if err != nil {
		body.Fault_ = simulator.Fault(err.Error(), &types.FileFault{File: q.disk.live.path()})
		return body
	}
	body.Res = &types.QueryChangedDiskAreasResponse{Returnval: page(areas, req.StartOffset, q.view.size, vm.world.settings.AreaLimit)}
	return body
}

func (vm *VM) resolve(req *types.QueryChangedDiskAreas) (*question, *soap.Fault) {
	q := new(question)
	if req.Snapshot == nil {
		d := vm.disk(req.DeviceKey)
		if d == nil {
			return nil, invalid("deviceKey")
		}
		if vm.power == types.VirtualMachinePowerStatePoweredOn {
			return nil, invalid("snapshot")
		}
		*q = question{disk: d, volume: d.volume, view: d.live.view(), track: d.track, era: d.volume.era}
	} else {
		object, ok := simulator.Map.Get(*req.Snapshot).(*Snapshot)
		if !ok || object.vm != vm {
			return nil, simulator.Fault("The object has already been deleted or has not been completely created",
				&types.ManagedObjectNotFound{Obj: *req.Snapshot})
		}
		for i := range object.model.disks {
			f := &object.model.disks[i]
			if f.disk.Key == req.DeviceKey && !f.excluded {
				*q = question{disk: &f.disk, volume: f.disk.volume, view: f.view, track: f.disk.track, era: f.era,
					below: f.below}
				if live := vm.disk(f.disk.Key); live != nil && live.UUID == f.disk.UUID {
					q.disk = live // what a test told about the disk holds for its snapshots too
				}
			}
		}
		if q.disk == nil {
			return nil, invalid("deviceKey")
		}
	}
	if req.StartOffset < 0 || req.StartOffset >= q.view.size {
		return nil, invalid("startOffset")
	}
	return q, q.parse(req.ChangeId)
}

// parse reads the change id.  One of another tracking, or of no known moment, is answered as vSphere does.
func (q *question) parse(changeID string) *soap.Fault {
	unknown := simulator.Fault("Error caused by file "+q.disk.live.path(), &types.FileFault{File: q.disk.live.path()})
	if q.track.id == "" || q.disk.track.id != q.track.id {
		return unknown // the tracking was off, or was reset since the snapshot
	}
	if changeID == "*" {
		q.all = true
		return nil
	}
	cut := strings.LastIndexByte(changeID, '/')
	if cut < 0 {
		return invalid("changeId")
	}
	number, err := strconv.ParseUint(changeID[cut+1:], 10, 32)
	if err != nil {
		return invalid("changeId")
	}
	q.since = uint32(number)
	if changeID[:cut] != q.track.id || q.since < q.track.from || q.since > q.era {
		return unknown
	}
	return nil
}

// areas lists what the answer must hold, merged, in whole blocks.
func (q *question) areas() ([]extent, error) {
	in := view{[]eras{{q.since + 1, q.era}}, q.view.size}
	var base []extent
	if q.all && q.track.late {
		in = view{[]eras{{q.track.from, q.era}}, q.view.size}
	} else if q.all {
		var err error
		if base, err = q.volume.allocated(); err != nil {
			return nil, err
		}
		in = q.view
	}
	var changed []extent
	for _, grain := range q.volume.written(in) {
		changed = appendArea(changed, extent{grain * grainBytes, (grain + 1) * grainBytes}, q.view.size)
	}
	var used []extent
	for _, e := range base {
		used = appendArea(used, e, q.view.size)
	}
	return q.disk.underReport(mergeAreas(used, changed)), nil
}

// appendArea adds an area, widened to whole blocks and cut at the end of the disk, to a list in rising order.
func appendArea(list []extent, e extent, size int64) []extent {
	e.start -= e.start % blockBytes
	e.end += (blockBytes - e.end%blockBytes) % blockBytes
	if e.end > size {
		e.end = size
	}
	if e.start >= e.end {
		return list
	}
	if n := len(list); n > 0 && e.start <= list[n-1].end {
		if e.end > list[n-1].end {
			list[n-1].end = e.end
		}
		return list
	}
	return append(list, e)
}

// mergeAreas unites two lists in rising order.
func mergeAreas(a, b []extent) []extent {
	var all []extent
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].start <= b[0].start {
			all, a = joinArea(all, a[0]), a[1:]
		} else {
			all, b = joinArea(all, b[0]), b[1:]
		}
	}
	return all
}

func joinArea(list []extent, e extent) []extent {
	if n := len(list); n > 0 && e.start <= list[n-1].end {
		if e.end > list[n-1].end {
			list[n-1].end = e.end
		}
		return list
	}
	return append(list, e)
}

// page cuts the answer: at most limit areas, and a length that tells how far they go.
func page(areas []extent, start, size int64, limit int) types.DiskChangeInfo {
	info := types.DiskChangeInfo{StartOffset: start, Length: size - start}
	for _, a := range areas {
		if a.end <= start {
			continue
		}
		if len(info.ChangedArea) == limit {
			last := info.ChangedArea[limit-1]
			info.Length = last.Start + last.Length - start
			break
		}
		if a.start < start {
			a.start = start
		}
		info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: a.start, Length: a.end - a.start})
	}
	return info
}

// underReport leaves out what the test told the simulator to hide: a tracking that loses writes.
func (d *disk) underReport(areas []extent) []extent {
	if d.hide == 0 && len(d.hidden) == 0 {
		return areas
	}
	var shown []extent
	for _, a := range areas {
		for at := a.start; at < a.end; at += blockBytes {
			end := at + blockBytes
			if end > a.end {
				end = a.end
			}
			if !d.hides(at, end) {
				shown = joinArea(shown, extent{at, end})
			}
		}
	}
	return shown
}

func (d *disk) hides(start, end int64) bool {
	for _, h := range d.hidden {
		if start < h.end && h.start < end {
			return true
		}
	}
	scattered := uint32(start/blockBytes) * 2654435761
	return float64(scattered)/(1<<32) < d.hide
}
