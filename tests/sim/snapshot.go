package main

import (
	"fmt"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// What snapshots do to the chains.  Everything here needs the world's mutex; that it is held over all disks is what
// makes a snapshot one moment for the whole VM.

// Snapshot is the managed object.
type Snapshot struct {
	mo.VirtualMachineSnapshot

	vm    *VM
	model *snapshot
}

// Lock and Unlock: see VM.
func (s *Snapshot) Lock()   { s.vm.world.mu.Lock() }
func (s *Snapshot) Unlock() { s.vm.world.mu.Unlock() }

type snapshot struct {
	object      *Snapshot
	name        string
	description string
	id          int32
	created     time.Time
	state       types.VirtualMachinePowerState
	quiesced    bool
	parent      *snapshot
	disks       []frozenDisk
}

func (t tracking) changeID(era uint32) string {
	if t.id == "" {
		return ""
	}
	return fmt.Sprintf("%s/%d", t.id, era)
}

// stun is the short stop of a running VM in which change tracking takes effect.
func (vm *VM) stun() {
	if !vm.cbtPending {
		return
	}
	vm.cbtPending = false
	for _, d := range vm.disks {
		if vm.tracked(d) && d.track.id == "" {
			d.track = tracking{newChangeUUID(), d.volume.era, !vm.world.spec.backfills()}
		}
	}
}

func (vm *VM) takeSnapshot(name, description string, quiesced bool, delta string) *snapshot {
	vm.stun()
	vm.snapshotID++
	s := &snapshot{name: name, description: description, id: vm.snapshotID, created: time.Now().UTC(), state: vm.power,
		quiesced: quiesced, parent: vm.current}
	for _, d := range vm.disks {
		f := frozenDisk{disk: *d, link: d.live, excluded: !vm.frozenBySnapshots(d), era: d.volume.era, below: vm.standing(d)}
		if f.excluded {
			f.view = d.live.view()
		} else {
			f.changeID = d.track.changeID(f.era)
			f.link = d.freeze(vm, delta)
			f.view = f.link.view()
		}
		s.disks = append(s.disks, f)
	}
	s.object = &Snapshot{vm: vm, model: s}
	s.object.Self = types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: vm.world.newMoref("snapshot")}
	s.object.Vm = vm.Self
	vm.snapshots = append(vm.snapshots, s)
	vm.current = s
	if *vm.world.spec.Witness {
		vm.history[name] = s.disks
	}
	vm.refresh()
	simulator.Map.Put(s.object)
	return s
}

// standing lists the eras that the present snapshots froze of a disk.
func (vm *VM) standing(d *disk) map[uint32]bool {
	found := map[uint32]bool{}
	for _, s := range vm.snapshots {
		for _, f := range s.disks {
			if f.disk.volume == d.volume && !f.excluded {
				found[f.era] = true
			}
		}
	}
	return found
}

// removeSnapshot takes s, and on request everything below it, out of the tree.  Merging the files may be left undone.
func (vm *VM) removeSnapshot(s *snapshot, children, merge bool) {
	vm.stun()
	gone := map[*snapshot]bool{s: true}
	if children {
		for _, other := range vm.snapshots { // parents come before their children
			gone[other] = gone[other] || gone[other.parent]
		}
	}
	var kept []*snapshot
	for _, other := range vm.snapshots {
		if gone[other] {
			simulator.Map.Remove(other.object.Self)
			continue
		}
		kept = append(kept, other)
	}
	above := func(x *snapshot) *snapshot {
		for x != nil && gone[x] {
			x = x.parent
		}
		return x
	}
	for _, other := range kept {
		other.parent = above(other.parent)
	}
	vm.snapshots, vm.current = kept, above(vm.current)
	if merge {
		vm.consolidate()
	} else {
		vm.needsConsolidation = len(vm.orphans()) > 0
	}
	vm.refresh()
}

// revert takes the VM back to s.  What was written since stays visible to the witness only.
func (vm *VM) revert(s *snapshot) {
	vm.stun()
	var disks []*disk
	for _, f := range s.disks {
		d := vm.disk(f.disk.Key)
		if d == nil || d.UUID != f.disk.UUID {
			copied := f.disk
			d = &copied
		}
		disks = append(disks, d)
		if f.excluded {
			continue
		}
		old := d.live
		d.Size = f.view.size
		d.live = d.grow(vm, f.link, vm.world.settings.DeltaFormat)
		if len(vm.children(old)) == 0 && old != f.link {
			old.live = false
			vm.dropLink(old)
		}
		d.volume.writes++
		if d.track.id != "" && !vm.world.settings.RevertKeepsCBT {
			d.track = tracking{newChangeUUID(), d.volume.era, d.track.late}
		}
	}
	vm.disks = disks
	vm.current = s
	vm.power = types.VirtualMachinePowerStatePoweredOff // snapshots here hold no memory
	vm.consolidate()
	vm.refresh()
}

// tree is the snapshot tree as the API shows it.
func (vm *VM) tree(parent *snapshot) []types.VirtualMachineSnapshotTree {
	var nodes []types.VirtualMachineSnapshotTree
	for _, s := range vm.snapshots {
		if s.parent != parent {
			continue
		}
		nodes = append(nodes, types.VirtualMachineSnapshotTree{Snapshot: s.object.Self, Vm: vm.Self, Name: s.name,
			Description: s.description, Id: s.id, CreateTime: s.created, State: s.state, Quiesced: s.quiesced,
			ReplaySupported: boolPtr(false), ChildSnapshotList: vm.tree(s)})
	}
	return nodes
}
