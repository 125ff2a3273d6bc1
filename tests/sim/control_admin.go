package main

import (
	"encoding/json"
	"fmt"

	"github.com/vmware/govmomi/simulator"
)

// What an administrator, another backup product or bad luck does.

func controlResetCounters(w *world, in *json.Decoder) (interface{}, error) {
	w.resetCounters()
	return nil, nil
}

func controlFaults(w *world, in *json.Decoder) (interface{}, error) {
	f := new(fault)
	if err := decode(in, f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if *f.Count != 0 {
		w.faults = append(w.faults, f)
	}
	return nil, nil
}

func controlClearFaults(w *world, in *json.Decoder) (interface{}, error) {
	w.faults = nil
	return nil, nil
}

func controlDropSessions(w *world, in *json.Decoder) (interface{}, error) {
	dropped := len(w.sessions)
	for session := range w.sessions {
		delete(w.sessions, session)
	}
	return map[string]int{"dropped": dropped}, nil
}

type vmRequest struct {
	VM             string `json:"vm"`
	Name           string `json:"name"`
	Op             string `json:"op"`
	Delta          string `json:"delta"`
	Description    string `json:"description"`
	Power          string `json:"power"`
	Children       bool   `json:"children"`
	SkipMerge      bool   `json:"skip_merge"`
	Snapshot       string `json:"snapshot"`
	Connection     string `json:"connection"`
	Tools          *bool  `json:"tools"`
	CBT            *bool  `json:"cbt"`
	CBTSupported   *bool  `json:"cbt_supported"`
	ConsolidateNow bool   `json:"consolidate"`
}

func (w *world) vmRequest(in *json.Decoder) (*VM, vmRequest, error) {
	var req vmRequest
	if err := decode(in, &req); err != nil {
		return nil, req, err
	}
	vm, err := w.wantVM(req.VM)
	return vm, req, err
}

func controlResetCBT(w *world, in *json.Decoder) (interface{}, error) {
	vm, _, err := w.vmRequest(in)
	if err != nil {
		return nil, err
	}
	vm.resetTracking()
	return nil, nil
}

func controlUnderReport(w *world, in *json.Decoder) (interface{}, error) {
	var req struct {
		VM       string  `json:"vm"`
		Key      int32   `json:"key"`
		Fraction float64 `json:"fraction"`
		Areas    []struct {
			Start  int64 `json:"start"`
			Length int64 `json:"length"`
		} `json:"areas"`
	}
	if err := decode(in, &req); err != nil {
		return nil, err
	}
	_, d, err := w.wantDisk(req.VM, req.Key)
	if err != nil {
		return nil, err
	}
	if req.Fraction < 0 || req.Fraction > 1 {
		return nil, fmt.Errorf("fraction is 0 to 1")
	}
	d.hide, d.hidden = req.Fraction, nil
	for _, a := range req.Areas {
		d.hidden = append(d.hidden, extent{a.Start, a.Start + a.Length})
	}
	return nil, nil
}

func controlSet(w *world, in *json.Decoder) (interface{}, error) {
	next := w.settings
	if err := decode(in, &next); err != nil {
		return nil, err
	}
	if next.AreaLimit < 1 || next.PageLimit < 1 || next.TaskDelayMs < 0 || next.FolderDelayMs < 0 || next.SessionLimit < 0 ||
		next.SessionIdleMs < 0 || next.TaskKeepMs < 0 {
		return nil, fmt.Errorf("a limit or delay is out of range")
	}
	modes := []string{consolidationNormal, consolidationNeeded, consolidationStuck}
	if err := choose(&next.Consolidation, "consolidation", modes); err != nil {
		return nil, err
	}
	if err := choose(&next.DeltaFormat, "delta_format", deltas); err != nil {
		return nil, err
	}
	w.settings = next
	return next, nil
}

func (vm *VM) snapshotNamed(name string) (*snapshot, error) {
	for _, s := range vm.snapshots {
		if s.name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("snapshot '%s' of '%s': %w", name, vm.Name, errNotFound)
}

// controlSnapshot takes or removes a snapshot as somebody else would.
func controlSnapshot(w *world, in *json.Decoder) (interface{}, error) {
	vm, req, err := w.vmRequest(in)
	if err != nil {
		return nil, err
	}
	switch req.Op {
	case "", "create":
		if req.Name == "" {
			return nil, fmt.Errorf("name is needed")
		}
		if req.Delta == "" {
			req.Delta = w.settings.DeltaFormat
		}
		if err := choose(&req.Delta, "delta", deltas); err != nil {
			return nil, err
		}
		s := vm.takeSnapshot(req.Name, req.Description, false, req.Delta)
		return map[string]string{"moref": s.object.Self.Value}, nil
	case "remove":
		s, err := vm.snapshotNamed(req.Name)
		if err != nil {
			return nil, err
		}
		vm.removeSnapshot(s, req.Children, !req.SkipMerge)
		return nil, nil
	default:
		return nil, fmt.Errorf("op is create or remove")
	}
}

func controlPower(w *world, in *json.Decoder) (interface{}, error) {
	vm, req, err := w.vmRequest(in)
	if err != nil {
		return nil, err
	}
	if err := choose(&req.Power, "power", powers); err != nil {
		return nil, err
	}
	vm.setPower(powerState(req.Power))
	return nil, nil
}

// controlRevert reverts to a snapshot by name, or to the current one.
func controlRevert(w *world, in *json.Decoder) (interface{}, error) {
	vm, req, err := w.vmRequest(in)
	if err != nil {
		return nil, err
	}
	s := vm.current
	if req.Snapshot != "" {
		if s, err = vm.snapshotNamed(req.Snapshot); err != nil {
			return nil, err
		}
	}
	if s == nil {
		return nil, fmt.Errorf("'%s' has no snapshot: %w", vm.Name, errNotFound)
	}
	vm.revert(s)
	if req.Power != "" {
		if err := choose(&req.Power, "power", powers); err != nil {
			return nil, err
		}
		vm.setPower(powerState(req.Power))
	}
	return nil, nil
}

// controlVM changes what is not worth a path of its own.
func controlVM(w *world, in *json.Decoder) (interface{}, error) {
	vm, req, err := w.vmRequest(in)
	if err != nil {
		return nil, err
	}
	if req.Op == "remove" {
		return nil, w.removeVM(vm)
	}
	if req.Connection != "" {
		if err := choose(&req.Connection, "connection", connections); err != nil {
			return nil, err
		}
		vm.spec.Connection = req.Connection
	}
	if req.Tools != nil {
		vm.spec.Tools = req.Tools
	}
	if req.CBTSupported != nil {
		vm.spec.CBTSupported = req.CBTSupported
	}
	if req.CBT != nil {
		vm.setTracking(*req.CBT)
	}
	if req.ConsolidateNow {
		vm.consolidate()
	}
	vm.refresh()
	return nil, nil
}

// controlDatastore sets how much room a datastore says it has.
func controlDatastore(w *world, in *json.Decoder) (interface{}, error) {
	var req struct {
		Name string `json:"name"`
		Free int64  `json:"free_bytes"`
	}
	if err := decode(in, &req); err != nil {
		return nil, err
	}
	ds := w.datastores[req.Name]
	if ds == nil {
		return nil, fmt.Errorf("datastore '%s': %w", req.Name, errNotFound)
	}
	if req.Free < 0 || req.Free > ds.Summary.Capacity {
		return nil, fmt.Errorf("free_bytes is 0 to %d", ds.Summary.Capacity)
	}
	simulator.Map.WithLock(ds, func() {
		ds.Summary.FreeSpace, ds.Info.GetDatastoreInfo().FreeSpace = req.Free, req.Free
	})
	return nil, nil
}

// removeVM takes a VM out of the inventory; its files are gone too.
func (w *world) removeVM(vm *VM) error {
	for i, other := range w.vms {
		if other == vm {
			w.vms = append(w.vms[:i:i], w.vms[i+1:]...)
		}
	}
	if vm.guestStop != nil {
		close(vm.guestStop)
		vm.guestStop = nil
	}
	for _, s := range vm.snapshots {
		simulator.Map.Remove(s.object.Self)
	}
	folder := simulator.Map.Get(*vm.Parent).(*simulator.Folder)
	simulator.RemoveReference(&folder.ChildEntity, vm.Self)
	simulator.RemoveReference(&w.host.Vm, vm.Self)
	if vm.ResourcePool != nil {
		if pool, ok := simulator.Map.Get(*vm.ResourcePool).(*simulator.ResourcePool); ok {
			simulator.RemoveReference(&pool.Vm, vm.Self)
		}
	}
	simulator.Map.Remove(vm.Self)
	return nil
}

type diskRequest struct {
	VM        string    `json:"vm"`
	Op        string    `json:"op"`
	Key       int32     `json:"key"`
	Size      int64     `json:"size"`
	Datastore string    `json:"datastore"`
	Disk      *diskSpec `json:"disk"`
}

// controlDisk adds, removes, grows, moves (to another datastore) or replaces (another disk at the same place).
func controlDisk(w *world, in *json.Decoder) (interface{}, error) {
	var req diskRequest
	if err := decode(in, &req); err != nil {
		return nil, err
	}
	vm, err := w.wantVM(req.VM)
	if err != nil {
		return nil, err
	}
	if req.Op == "add" {
		return vm.attach(req.Disk)
	}
	d := vm.disk(req.Key)
	if d == nil {
		return nil, fmt.Errorf("disk %d of '%s': %w", req.Key, req.VM, errNotFound)
	}
	switch req.Op {
	case "remove":
		vm.detach(d)
		vm.refresh()
		return nil, nil
	case "grow":
		return nil, vm.growDisk(d, req.Size)
	case "move":
		return nil, vm.moveDisk(d, req.Datastore)
	case "replace":
		if req.Disk == nil {
			return nil, fmt.Errorf("disk is needed")
		}
		req.Disk.Key, req.Disk.Controller, req.Disk.Unit = d.Key, d.Controller, d.Unit
		vm.detach(d)
		return vm.attach(req.Disk)
	default:
		return nil, fmt.Errorf("op is add, remove, grow, move or replace")
	}
}

func (vm *VM) attach(s *diskSpec) (interface{}, error) {
	if s == nil {
		return nil, fmt.Errorf("disk is needed")
	}
	if s.VMDK == "" {
		s.VMDK = fmt.Sprintf("%s/%s_%s.vmdk", vm.Name, vm.Name, vm.world.newMoref("disk"))
	}
	if err := s.complete(vm.world.spec, &vm.spec, len(vm.disks)); err != nil {
		return nil, err
	}
	d, err := vm.addDisk(*s)
	if err != nil {
		return nil, err
	}
	vm.refresh()
	return map[string]interface{}{"key": d.Key, "uuid": d.UUID}, nil
}

// detach takes the disk off the VM.  Links that no snapshot needs leave with it.
func (vm *VM) detach(d *disk) {
	for i, other := range vm.disks {
		if other == d {
			vm.disks = append(vm.disks[:i:i], vm.disks[i+1:]...)
		}
	}
	d.live.live = false
	for found := vm.orphans(); len(found) > 0; found = vm.orphans() {
		dropped := false
		for _, l := range found {
			if l.volume == d.volume && len(vm.children(l)) == 0 {
				vm.dropLink(l)
				dropped = true
			}
		}
		if !dropped {
			return
		}
	}
}

// growDisk enlarges a disk; as in vSphere, not while a snapshot holds it.  Its change tracking begins anew.
func (vm *VM) growDisk(d *disk, size int64) error {
	if d.live.parent != nil {
		return fmt.Errorf("a disk with snapshots cannot grow")
	}
	if size <= d.live.size || size%sectorBytes != 0 {
		return fmt.Errorf("size must be a larger multiple of %d", sectorBytes)
	}
	d.Size, d.live.size = size, size
	if d.track.id != "" {
		d.track = tracking{newChangeUUID(), d.volume.era, d.track.late}
	}
	vm.refresh()
	return nil
}

// moveDisk brings a disk with all its links to another datastore.  Its change tracking begins anew.
func (vm *VM) moveDisk(d *disk, datastore string) error {
	if vm.world.datastores[datastore] == nil {
		return fmt.Errorf("datastore '%s': %w", datastore, errNotFound)
	}
	for _, l := range vm.links {
		if l.volume == d.volume {
			l.datastore = datastore
		}
	}
	d.Datastore = datastore
	if d.track.id != "" {
		d.track = tracking{newChangeUUID(), d.volume.era, d.track.late}
	}
	vm.refresh()
	return nil
}
